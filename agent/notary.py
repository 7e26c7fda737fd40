"""The notary: a passed result gets its proof, in the run's directory and as a note on its commit."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.durable import write_durably
from agent.proof import PROOF, dump, proof_of
from agent.state import RunState
from agent.workspace import Workspace

__all__ = ["Notary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notary:
    """Writes proofs down."""

    workspace: Workspace
    directory: Path
    """The run's own."""
    chain: Callable[[], str]
    """The last link of the journal as it stands."""

    def prove(self, state: RunState, commit: str, tree: str) -> str:
        """Write the proof of a run that passed with `commit`, and return its id; empty where nothing isolated it.

        Raises:
            StorageProblem: it cannot be written.
        """
        if not _isolated(state):
            return ""
        proof = proof_of(state, commit=commit, tree=tree, chain=self.chain())
        data = dump(proof)
        write_durably(self.directory / PROOF, data, self.workspace.passing)
        if commit != state.root_commit:
            self.workspace.annotate(commit, data.decode())
        return proof.id


def _isolated(state: RunState) -> bool:
    return state.started.sandbox != "local"
