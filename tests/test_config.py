"""Settings: four layers, one merge, and no way to spend or send what the user did not ask for."""

import pickle

import pytest

from agent.config import Key, config_file, load_settings, take_key
from agent.errors import UsageProblem
from agent.redact import Secret
from agent.sourced import Sourced
from agent.task import Limits, Prices

KEY = Key(secret=Secret("sk-123456"), source="RUNAPI_KEY")


@pytest.fixture
def home(tmp_path):
    (tmp_path / ".config" / "greenward").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def load(home):
    """Loads settings with `config` in the user's file."""

    def load(config="", flags=None, **environ):
        (home / ".config" / "greenward" / "config.toml").write_text(config, "utf-8")
        return load_settings({"HOME": str(home), **environ}, flags or {}, key=KEY)

    return load


def refused(load, *arguments, **more):
    with pytest.raises(UsageProblem) as caught:
        load(*arguments, **more)
    assert caught.value.exit_code == 2
    return f"{caught.value.message}\n{caught.value.hint}"


def test_nothing_set_means_kimi_through_runapi_for_a_dollar():
    settings = load_settings({}, {}, key=None)
    assert (settings.model, settings.base_url) == ("kimi-k2.6", "https://runapi.ai/v1")
    assert settings.prices == Prices(input=0.48, cached=0.08, output=2.00)
    assert settings.limits == Limits()
    assert (settings.context, settings.sandbox, settings.image) == (262_144, "docker", None)


def test_a_later_layer_wins_and_every_value_tells_its_source(load, home):
    settings = load(
        "context = 1000\nmax_output = 10\nimage = 'mine'\n[limits]\ncalls = 5",
        flags={"image": "other", "sandbox": None},
        GREENWARD_MAX_OUTPUT="20",
        GREENWARD_LIMITS_DOLLARS="0.5",
        GREENWARD_IMAGE="third",
    )
    assert (settings.context, settings.max_output, settings.image) == (1000, 20, "other")
    assert settings.limits == Limits(dollars=0.5, calls=5)
    assert {name: settings.sources[name] for name in ("context", "max_output", "image", "sandbox", "prices.input")} == {
        "context": str(home / ".config" / "greenward" / "config.toml"),
        "max_output": "GREENWARD_MAX_OUTPUT",
        "image": "command line",
        "sandbox": "default",
        "prices.input": "known price of kimi-k2.6",
    }


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("modle = 'x'", "did you mean `model`?"),
        ("[limits]\ndolars = 1", "did you mean `limits.dollars`?"),
        ("key = 'sk-123456'", "only read from the environment"),
        ("model = 7", "a text in one line"),
        ("model = ''", "a text in one line"),
        ('model = "a\\nb"', "a text in one line"),
        ("context = '1000'", "a whole number above 0"),
        ("context = true", "a whole number above 0"),
        ("limits = 3", "unknown setting `limits`"),
        ("[limits]\ncalls = 0", "a whole number above 0"),
        ("[limits]\ncalls = 1.5", "a whole number above 0"),
        ("[limits]\ndollars = nan", "a number above 0"),
        ("[limits]\ndollars = inf", "a number above 0"),
        ("[limits]\ndollars = -1", "a number above 0"),
        ("[prices]\ninput = -1", "a number, 0 or more"),
        ("sandbox = 'none'", '"docker", "local"'),
        ("thinking = 'maybe'", '"enabled"'),
        ("max_output = 262144", "`max_output` is not below `context`"),
        ("model =", "cannot be read"),
        ("context = 1000\n\nmodel = kimi", "(at line 3, column 9)"),
        ("test = 'pytest'", "`[tool.greenward]` of the project's pyproject.toml"),
        ("sealed = ['x']", "`sealed` belongs to a project"),
    ],
)
def test_a_wrong_file_is_refused_with_advice(load, config, says):
    assert says in refused(load, config)


def test_a_table_with_nothing_in_it_is_no_mistake(load):
    assert load("[limits]\n# calls = 5\n[prices]\n").limits == Limits()


def test_a_refused_value_is_shown_in_a_line_of_its_own_size(load):
    said = refused(load, f'context = "{"x" * 5000}"')
    assert "x" * 40 in said
    assert len(said) < 400


def test_a_path_that_no_file_can_have_is_told_of():
    with pytest.raises(UsageProblem, match="cannot be read: File name too long"):
        load_settings({"XDG_CONFIG_HOME": "/" + "x" * 300}, {}, key=None)


def test_a_refused_value_names_the_file_it_stands_in(load, home):
    assert str(home / ".config" / "greenward" / "config.toml") in refused(load, "context = 'x'")


def test_a_file_that_is_no_text_is_refused(home):
    (home / ".config" / "greenward" / "config.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageProblem, match="cannot be read"):
        load_settings({"HOME": str(home)}, {}, key=None)


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"GREENWARD_MODLE": "x"}, "did you mean `GREENWARD_MODEL`?"),
        ({"GREENWARD_XYZZY": "x"}, "is no setting"),
        ({"GREENWARD_CONTEXT": "many"}, "(GREENWARD_CONTEXT)\nit must be a whole number above 0"),
        ({"GREENWARD_LIMITS_DOLLARS": "nan"}, "a number above 0"),
    ],
)
def test_a_wrong_variable_is_refused_with_advice(load, environ, says):
    assert says in refused(load, **environ)


def test_an_empty_variable_counts_as_unset(load):
    assert load(GREENWARD_MODEL="").model == "kimi-k2.6"


def test_variables_of_the_scripts_and_of_a_sandbox_are_left_alone(load):
    assert load(GREENWARD_ENGINE_DIR="/x", GREENWARD_OUT="/out").model == "kimi-k2.6"


def test_a_wrong_flag_is_refused(load):
    assert "(command line)" in refused(load, flags={"limits.calls": 0})


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/v1", "http://localhost/v1", "http://[::1]:1/v1"])
def test_a_server_on_this_machine_may_speak_http_costs_nothing_and_needs_no_key(url):
    settings = load_settings({"GREENWARD_BASE_URL": url + "/"}, {}, key=None)
    assert settings.base_url == url
    assert settings.prices == Prices(input=0, cached=0, output=0)
    assert settings.require_key() is None


@pytest.mark.parametrize(
    "url",
    [
        "http://runapi.ai/v1",
        "http://127.0.0.1.example.org/v1",
        "http://localhost.example.org/v1",
        "http://2130706433/v1",
        "http://10.0.0.1/v1",
        "http://127.0.0.1@example.org/v1",
        "https://user:pa55word@runapi.ai/v1",
        "https://runapi.ai/v1?to=elsewhere",
        "https://runapi.ai/v1#x",
        "https:///v1",
        "https://[bad/v1",
        "https://runapi.ai:port/v1",
        "ftp://runapi.ai/v1",
        "runapi.ai/v1",
        "file:///etc/passwd",
    ],
)
def test_an_address_that_is_unsafe_or_none_is_refused(load, url):
    said = refused(load, GREENWARD_BASE_URL=url)
    assert "`base_url`" in said
    assert "pa55word" not in said


def test_a_model_without_a_known_price_is_refused_until_one_is_given(load):
    said = refused(load, GREENWARD_MODEL="kimi-k9")
    assert "no price is known for `kimi-k9`" in said
    assert "`prices.output`" in said
    prices = "[prices]\ninput = 1\ncached = 0\noutput = 3.5"
    assert load(prices, GREENWARD_MODEL="kimi-k9").prices == Prices(input=1, cached=0, output=3.5)


def test_a_known_model_at_another_provider_has_no_known_price(load):
    assert "no price is known" in refused(load, GREENWARD_BASE_URL="https://example.org/v1")


def test_one_given_price_leaves_the_other_known_ones(load):
    assert load(GREENWARD_PRICES_OUTPUT="4").prices == Prices(input=0.48, cached=0.08, output=4)


@pytest.mark.parametrize("missing", ["input", "cached", "output"])
def test_an_unknown_model_needs_all_three_prices(load, missing):
    given = {f"GREENWARD_PRICES_{name.upper()}": "1" for name in ("input", "cached", "output") if name != missing}
    assert f"`prices.{missing}`" in refused(load, GREENWARD_MODEL="kimi-k9", **given)


def test_without_a_key_the_provider_is_not_called():
    with pytest.raises(UsageProblem) as caught:
        load_settings({"OPENAI_API_KEY": "sk-other"}, {}, key=None).require_key()
    assert "RUNAPI_KEY" in caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("environ", "source"),
    [
        ({"RUNAPI_TOKEN": "c", "RUNAPI_API_KEY": "b", "RUNAPI_KEY": "a"}, "RUNAPI_KEY"),
        ({"RUNAPI_TOKEN": "c", "RUNAPI_API_KEY": "b", "RUNAPI_KEY": " "}, "RUNAPI_API_KEY"),
        ({"RUNAPI_TOKEN": "c"}, "RUNAPI_TOKEN"),
    ],
)
def test_the_key_is_taken_out_of_the_environment(environ, source):
    secret = Secret(environ[source])
    environ["PATH"] = "/bin"
    assert take_key(environ) == Key(secret=secret, source=source)
    assert environ == {"PATH": "/bin"}


def test_the_key_of_another_provider_is_not_taken():
    environ = {"OPENAI_API_KEY": "sk-other"}
    assert take_key(environ) is None
    assert environ == {"OPENAI_API_KEY": "sk-other"}


@pytest.mark.parametrize("bad", ["two words", "zeile\nzwei", "schlüssel", "a\x00b"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(bad):
    with pytest.raises(UsageProblem) as caught:
        take_key({"RUNAPI_KEY": bad})
    assert bad not in caught.value.message + caught.value.hint


def test_the_key_is_in_nothing_that_is_shown(load):
    settings = load()
    assert "123456" not in f"{settings} {settings!r} {settings.layer()}"
    assert settings.layer()["key"] == Sourced("present", "RUNAPI_KEY")
    assert load_settings({}, {}, key=None).layer()["key"] == Sourced("absent", "not set")


def test_every_setting_is_shown_with_its_value_and_source(load):
    shown = load(GREENWARD_LIMITS_CALLS="5", flags={"model": "kimi-k2.6"}).layer()
    assert shown["limits.calls"] == Sourced(5, "GREENWARD_LIMITS_CALLS")
    assert shown["model"] == Sourced("kimi-k2.6", "command line")
    assert shown["image"] == Sourced(None, "default")
    assert shown["prices.cached"] == Sourced(0.08, "known price of kimi-k2.6")
    assert shown.keys() == {*load().sources, "key"}


def test_settings_cross_a_process_border(load):
    settings = load()
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_the_file_is_in_the_users_configuration_directory():
    assert str(config_file({"XDG_CONFIG_HOME": "/x", "HOME": "/h"})) == "/x/greenward/config.toml"
    assert str(config_file({"HOME": "/h"})) == "/h/.config/greenward/config.toml"
    assert config_file({}) is None


def test_a_repository_cannot_be_made_the_configuration_directory(tmp_path, monkeypatch):
    (tmp_path / "greenward").mkdir()
    (tmp_path / "greenward" / "config.toml").write_text("base_url = 'https://example.org/v1'")
    (tmp_path / "pyproject.toml").write_text("[tool.greenward]\nbase_url = 'https://example.org/v1'")
    monkeypatch.chdir(tmp_path)
    assert load_settings({"XDG_CONFIG_HOME": ".", "HOME": ""}, {}, key=None).base_url == "https://runapi.ai/v1"
