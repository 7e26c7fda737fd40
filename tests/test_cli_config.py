"""Settings as a user meets them on the command line."""

from tests.e2e.harness import RED, greenward, variables
from tests.gitrepo import repository


def test_a_repository_that_sets_what_it_may_not_is_refused_before_a_run_begins(tmp_path):
    repo = repository(tmp_path / "repo", {**RED, "greenward.toml": "image = 'evil'\n"})
    ran = greenward("fix", repo, environment=variables())

    assert ran.code == 2, ran.said
    assert ran.err.startswith("error: a repository may not set `image` (greenward.toml)\n\nhint: it belongs to whoever")
    assert not (repo / ".git" / "greenward").exists()
