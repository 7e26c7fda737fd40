"""What a real run leaves is what publishing takes: the two sides agree on every file."""

import pytest

from agent.folding import fold
from agent.journal import read_entries
from agent.proposal.writing import propose
from agent.redact import Redactor
from agent.runs import JOURNAL
from agent.workspace import Workspace
from tests.proofs.proven import prove
from tests.publishing.proposals import checked


@pytest.mark.parametrize("names", ["sha1", "sha256"])
def test_the_proposal_of_a_real_run_is_taken(tmp_path, monkeypatch, names):
    monkeypatch.setenv("GIT_DEFAULT_HASH", names)
    proven = prove(tmp_path / "target")
    out = tmp_path / "proposal"
    with Workspace.open(proven.root) as workspace:
        state = fold(list(read_entries(proven.directory / JOURNAL)))
        propose(workspace, state, out, redact=Redactor(), exit_code=0)
    found = checked(proven.root, out)
    assert found.commit == proven.commit
    assert len(found.commit) == {"sha1": 40, "sha256": 64}[names]
    assert proven.checked().differs == ()
    assert [change.path for change in found.changes] == ["app.py"]
