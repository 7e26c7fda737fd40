"""What to do about a setup that failed, told from its log."""

import re

__all__ = ["hint_for"]

HINTS = (
    (
        r"CERTIFICATE_VERIFY_FAILED",
        "the package index shows a certificate that is not trusted: SSL_CERT_FILE names a bundle with your authority",
    ),
    (
        r"Temporary failure in name resolution|Name or service not known|Could not resolve|NameResolutionError",
        "containers on this engine cannot resolve names: check the engine's DNS, or set HTTPS_PROXY",
    ),
    (
        r"(?:gcc|g\+\+|\bcc|clang|cmake|cargo|rustc)['`]?(?: failed|: not found|: No such file)|No CMAKE_\w+_COMPILER",
        "a dependency must be compiled: `--image` names an image with a compiler, `--setup` a command that gets one",
    ),
    (r"ResolutionImpossible|conflicting dependencies", "the requirements contradict each other"),
    (
        r"No matching distribution found|Could not find a version",
        "a requirement cannot be had: misspelt, private (PIP_INDEX_URL), or for another Python (`--image`)",
    ),
    (r"ensurepip is not available|No module named '?venv", "the image lacks Python's venv: install `python3-venv`"),
    (r"No space left on device", "the engine's disk is full: `docker system df` shows by what"),
)


def hint_for(log: str) -> str:
    """What to do about a setup that failed with `log`, where that can be told."""
    return next((hint for pattern, hint in HINTS if re.search(pattern, log)), "the end of its log says more")
