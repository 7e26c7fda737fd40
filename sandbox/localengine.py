"""Environments without an engine: virtual environments in a directory of the host. They isolate nothing."""

import shlex
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from sandbox import Environment, Limits, Sandbox, Setup, SetupFailed
from sandbox.hints import hint_for
from sandbox.images import locked
from sandbox.process import run_script
from sandbox.scratch import scratch
from sandbox.setup import PTH, QUIET, SECONDS, setup_key

__all__ = ["LocalEngine"]

PASSED = ("HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables of the host that a setup sees beside those of pip and the proxies."""
LOG_BYTES = 64 * 1024


class LocalEngine:
    """Environments as virtual environments below a directory."""

    def __init__(self, *, host: Mapping[str, str], cache: Path, seconds: float = SECONDS) -> None:
        """`host` are the variables of the host's process, `cache` holds the environments; a setup has `seconds`."""
        self._host = host
        self._cache = cache
        self._seconds = seconds

    def prepare(self, setup: Setup, say: Callable[[str], None]) -> Environment:
        """The virtual environment for `setup`, whose directory is the environment's id.

        Raises:
            SetupFailed: the script failed.
        """
        began = time.monotonic()
        if setup.image:
            say(f"the image {setup.image} is not used: without an engine there are none")
        directory = self._cache / setup_key(setup, f"{sys.executable} {sys.version}")[:32]
        done = directory / "greenward-done"
        cached = done.exists()
        if not cached:
            with locked(directory.with_suffix(".lock"), say):
                cached = done.exists()
                if not cached:
                    say("setting up the environment (once for these requirements)")
                    self._make(setup, directory)
                    done.touch()
        return Environment(id=str(directory), origin="local", cached=cached, seconds=time.monotonic() - began)

    def open(self, environment: Environment, *, limits: Limits, run_id: str) -> Sandbox:  # noqa: ARG002  (no labels)
        """A sandbox in `environment`; it isolates nothing."""
        from sandbox.local import LocalSandbox  # noqa: PLC0415  (only runs need it, not `prepare`)

        return LocalSandbox(path=f"{environment.id}/bin:{self._host.get('PATH', '')}", limits=limits)

    def _make(self, setup: Setup, directory: Path) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        with scratch() as room:
            self._run(room, shlex.join([sys.executable, "-m", "venv", str(directory)]), {})
            site = next(directory.glob("lib/python*/site-packages"))
            (site / "greenward.pth").write_text(PTH)
            files = room / "files"
            files.mkdir()
            for name, data in setup.files.items():
                path = files / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            variables = {"VIRTUAL_ENV": str(directory), "PATH": f"{directory}/bin:{self._host.get('PATH', '')}"}
            self._run(room, f"cd files\n{setup.script}", variables)

    def _run(self, room: Path, text: str, variables: Mapping[str, str]) -> None:
        passed = {
            name: value
            for name, value in self._host.items()
            if name in PASSED or name == "PATH" or name.startswith("PIP_") or name.lower().endswith("_proxy")
        }
        script = room / "script"
        script.write_text(f"set -e\n{text}\n")
        environment = {**passed, **QUIET, **variables}
        ended = run_script(script, environment, timeout=self._seconds, output_bytes=2 * LOG_BYTES)
        log = ended.output[-LOG_BYTES:].decode(errors="replace")
        if ended.timed_out:
            raise SetupFailed(f"the setup took more than {self._seconds:.0f} s, and was stopped", log=log)
        if ended.exit_code:
            raise SetupFailed(f"the setup ended with exit code {ended.exit_code}", log=log, hint=hint_for(log))
