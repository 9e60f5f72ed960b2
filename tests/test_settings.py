"""Where a setting's value comes from, and what is said when it can't be right."""

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from scraper.errors import SettingsError
from scraper.layers import Layer, environment_layer, flat, load, override_layer, toml_layer
from scraper.settings import Settings
from scraper.units import duration


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in os.environ:
        if name.startswith("SCRAPER_"):
            monkeypatch.delenv(name)


def toml(path: Path, text: str) -> Layer:
    file = path / "settings.toml"
    file.write_text(text, "utf-8")
    return toml_layer(file)


def refusal(*layers: Layer) -> str:
    with pytest.raises(SettingsError) as raised:
        load(layers)
    return str(raised.value)


# ── durations ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("30s", 30),
        ("10m", 600),
        ("1h30m", 5400),
        ("2d", 172_800),
        ("500ms", 0.5),
        ("1.5h", 5400),
        (" 10M ", 600),
        ("1m30", 90),
        ("0", 0),
    ],
)
def test_a_duration_is_written_as_people_say_it(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "soon", "-5", "5x", "h", "1 h", "1e3", "5.s", ".5", "5,5", "10mms", "inf", "nan"]
)
def test_what_is_no_duration_is_said_in_words(text):
    with pytest.raises(ValueError, match="write it as 90, 30s, 10m or 1h30m"):
        duration(text)


@pytest.mark.timeout(2)
def test_a_long_number_that_is_no_duration_is_refused_at_once():
    with pytest.raises(ValueError, match="no duration"):
        duration("1" * 60 + "x")


@example_settings(deadline=None, database=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 999), st.sampled_from(["ms", "s", "m", "h", "d"])), min_size=1, max_size=5
    )
)
def test_a_duration_is_the_sum_of_its_parts(parts):
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert duration(text) == pytest.approx(sum(duration(f"{number}{unit}") for number, unit in parts))


def test_settings_take_durations_in_words_and_in_seconds(tmp_path):
    layer = toml(tmp_path, 'delay = 2\nmax_wait = "1h"\n[timeouts]\nread = "1m30s"\ntotal = 0.5')
    in_force = load([layer]).settings
    assert (in_force.delay, in_force.max_wait) == (2.0, 3600.0)
    assert (in_force.timeouts.read, in_force.timeouts.total) == (90.0, 0.5)


# ── defaults ─────────────────────────────────────────────────────────────────────────────────────────────


def test_without_layers_everything_has_its_default():
    loaded = load([])
    assert loaded.settings == Settings()
    assert loaded.origins == {}


def test_the_defaults_are_polite_and_safe():
    defaults = Settings()
    assert (defaults.concurrency, defaults.per_host, defaults.delay) == (100, 8, 0)
    assert (defaults.obey_robots, defaults.retry.attempts, defaults.frontier.kind) == (True, 3, "sqlite")


def test_seats_are_twice_the_concurrency_unless_they_are_named():
    assert Settings(concurrency=30).seat_count == 60
    assert Settings(concurrency=30, seats=5).seat_count == 5


def test_settings_do_not_change():
    with pytest.raises(ValidationError):
        Settings().concurrency = 5
    with pytest.raises(ValidationError):
        Settings().timeouts.read = 5


def test_the_lists_of_one_crawl_are_not_those_of_another():
    Settings().middlewares.append("mine")
    assert "mine" not in Settings().middlewares


# ── layers ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_later_layer_goes_over_an_earlier_one():
    loaded = load([Layer("first", {"concurrency": 1, "per_host": 1}), Layer("second", {"per_host": 2})])
    assert (loaded.settings.concurrency, loaded.settings.per_host) == (1, 2)
    assert (loaded.origins["concurrency"], loaded.origins["per_host"]) == ("first", "second")


def test_tables_are_merged_key_by_key_and_every_key_has_its_origin(tmp_path):
    loaded = load([toml(tmp_path, "[timeouts]\nread = 1\nconnect = 1"), override_layer(["timeouts.read=2"])])
    assert (loaded.settings.timeouts.read, loaded.settings.timeouts.connect) == (2, 1)
    assert loaded.settings.timeouts.total == Settings().timeouts.total
    assert (loaded.origins["timeouts.read"], loaded.origins["timeouts.connect"]) == ("-s", "settings.toml")
    assert "timeouts.total" not in loaded.origins


def test_lists_are_replaced_whole():
    layers = [Layer("toml", {"middlewares": ["a", "b"]}), Layer("-s", {"middlewares": ["c"]})]
    assert load(layers).settings.middlewares == ["c"]


def test_laying_one_over_the_other_changes_neither():
    values = {"timeouts": {"read": 1}}
    load([Layer("first", values), Layer("second", {"timeouts": {"read": 2}})])
    assert values == {"timeouts": {"read": 1}}


def test_the_settings_of_hosts_are_merged_too():
    layers = [
        Layer("toml", {"hosts": {"a.example": {"delay": 1}}}),
        Layer("-s", {"hosts": {"b.example": {"per_host": 2}}}),
    ]
    hosts = load(layers).settings.hosts
    assert (hosts["a.example"].delay, hosts["b.example"].per_host) == (1, 2)


# ── the frontier's short form ────────────────────────────────────────────────────────────────────────────


def test_a_frontier_may_be_named_by_its_kind_alone():
    assert load([Layer("toml", {"frontier": "memory"})]).settings.frontier.kind == "memory"


def test_a_frontier_named_by_its_kind_keeps_it_under_a_later_layer():
    layers = [Layer("toml", {"frontier": "memory"}), override_layer(["frontier.commit_pages=5"])]
    in_force = load(layers).settings.frontier
    assert (in_force.kind, in_force.commit_pages) == ("memory", 5)


def test_a_kind_alone_over_a_table_keeps_the_rest_of_it():
    loaded = load([Layer("toml", {"frontier": {"window": 7}}), override_layer(["frontier=memory"])])
    assert (loaded.settings.frontier.kind, loaded.settings.frontier.window) == ("memory", 7)


# ── proxies ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_list_of_proxies_gets_names():
    pool = load([Layer("toml", {"proxies": {"pool": ["http://one", "http://two"]}})]).settings.proxies.pool
    assert {name: url.get_secret_value() for name, url in pool.items()} == {
        "proxy1": "http://one",
        "proxy2": "http://two",
    }


def test_a_proxys_password_is_never_shown():
    in_force = load([Layer("toml", {"proxies": {"pool": {"a": "http://me:word@proxy"}}})]).settings
    assert isinstance(in_force.proxies.pool["a"], SecretStr)
    assert "word" not in repr(in_force)
    assert "word" not in str(dict(flat(in_force)))


@pytest.mark.parametrize("pool", ["http://me:word@proxy", {"a": ["http://me:word@proxy"]}])
def test_a_proxys_password_is_not_shown_in_an_error_either(pool):
    said = refusal(Layer("settings.toml", {"proxies": {"pool": pool}}))
    assert "proxies.pool" in said
    assert "word" not in said


# ── what can't be right ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"concurency": 5}, "settings.toml: there is no setting 'concurency'. Did you mean 'concurrency'?"),
        (
            {"timeouts": {"reed": 5}},
            "settings.toml: there is no setting 'timeouts.reed'. Did you mean 'timeouts.read'?",
        ),
        (
            {"frontier": {"windw": 5}},
            "settings.toml: there is no setting 'frontier.windw'. Did you mean 'frontier.window'?",
        ),
        ({"zzz": 5}, "settings.toml: there is no setting 'zzz'."),
        ({"hosts": {"a:80": {"dely": 1}}}, "settings.toml: there is no setting 'hosts.a:80.dely'."),
    ],
)
def test_a_typo_is_said_with_its_file_and_what_was_meant(values, said):
    assert refusal(Layer("settings.toml", values)) == said


def test_a_key_in_capitals_is_a_typo_too():
    assert "there is no setting 'Concurrency'. Did you mean 'concurrency'?" in refusal(
        Layer("x", {"Concurrency": 5})
    )


@pytest.mark.parametrize(
    ("values", "start"),
    [
        ({"concurrency": 0}, "settings.toml: concurrency = 0: input should be greater than or equal to 1"),
        ({"concurrency": "many"}, "settings.toml: concurrency = 'many': input should be a valid integer"),
        ({"delay": "soon"}, "settings.toml: delay = 'soon': 'soon' is no duration: write it as"),
        ({"delay": -1}, "settings.toml: delay = -1: input should be greater than or equal to 0"),
        ({"delay": float("nan")}, "settings.toml: delay = nan"),
        ({"timeouts": {"read": "x"}}, "settings.toml: timeouts.read = 'x'"),
        ({"timeouts": 5}, "settings.toml: timeouts = 5"),
        (
            {"frontier": "redis"},
            "settings.toml: frontier.kind = 'redis': input should be 'sqlite' or 'memory'",
        ),
        ({"max_failed": 2}, "settings.toml: max_failed = 2"),
        ({"retry": {"attempts": 0}}, "settings.toml: retry.attempts = 0"),
        ({"loop": "trio"}, "settings.toml: loop = 'trio'"),
    ],
)
def test_a_wrong_value_is_said_with_its_file_its_key_and_itself(values, start):
    assert refusal(Layer("settings.toml", values)).startswith(start)


def test_every_mistake_is_said_at_once_each_with_its_own_layer():
    said = refusal(Layer("settings.toml", {"concurrency": 0}), Layer("-s", {"per_host": 0, "typo": 1}))
    assert [line.split(":")[0] for line in sorted(said.splitlines())] == ["-s", "-s", "settings.toml"]


def test_a_mistake_is_the_layers_that_had_the_last_word():
    assert refusal(Layer("settings.toml", {"concurrency": 5}), Layer("-s", {"concurrency": 0})).startswith(
        "-s: "
    )


def test_a_file_that_is_no_toml_is_said_in_words(tmp_path):
    with pytest.raises(SettingsError, match=r"settings\.toml is not valid TOML: .*line 2"):
        toml(tmp_path, "concurrency = 5\nper_host = = 5")


def test_a_file_in_another_encoding_is_said_in_words(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_bytes('user_agent = "Bücher"'.encode("latin-1"))
    with pytest.raises(SettingsError, match=r"settings\.toml is not valid TOML"):
        toml_layer(file)


# ── the environment ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("variable", "text", "key", "value"),
    [
        ("SCRAPER_CONCURRENCY", "7", "concurrency", 7),
        ("SCRAPER_DELAY", "1m", "delay", 60.0),
        ("SCRAPER_OBEY_ROBOTS", "false", "obey_robots", False),
        ("SCRAPER_TIMEOUTS__READ", "90s", "timeouts.read", 90.0),
        ("SCRAPER_FRONTIER__KIND", "memory", "frontier.kind", "memory"),
        ("SCRAPER_PIPELINES", '["mine:Mine"]', "pipelines", ["mine:Mine"]),
        ("SCRAPER_FRONTIER", "memory", "frontier.kind", "memory"),
    ],
)
def test_a_variable_sets_a_setting(monkeypatch, variable, text, key, value):
    monkeypatch.setenv(variable, text)
    loaded = load([environment_layer()])
    assert dict(flat(loaded.settings))[key] == value
    assert set(loaded.origins.values()) == {"environment"}


def test_a_variable_goes_over_the_file_and_under_the_command_line(monkeypatch):
    monkeypatch.setenv("SCRAPER_TIMEOUTS__READ", "2")
    monkeypatch.setenv("SCRAPER_TIMEOUTS__TOTAL", "2")
    layers = [
        Layer("settings.toml", {"timeouts": {"read": 1, "connect": 1}}),
        environment_layer(),
        override_layer(["timeouts.total=3"]),
    ]
    timeouts = load(layers).settings.timeouts
    assert (timeouts.connect, timeouts.read, timeouts.total) == (1, 2, 3)


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("SCRAPER_CONCURENCY", "SCRAPER_CONCURENCY names no setting. Did you mean 'concurrency'?"),
        ("SCRAPER_ZZZ", "SCRAPER_ZZZ names no setting."),
        ("SCRAPER_TIMEOUTS__REED", "there is no setting 'timeouts.reed'. Did you mean 'timeouts.read'?"),
        ("SCRAPER_CONCURRENCY", "SCRAPER_CONCURRENCY: concurrency = 'x'"),
        ("SCRAPER_MIDDLEWARES", "SCRAPER_MIDDLEWARES"),
        ("SCRAPER_TIMEOUTS", "SCRAPER_TIMEOUTS"),
    ],
)
def test_a_variable_that_can_not_be_right_is_said_in_words(monkeypatch, variable, said):
    monkeypatch.setenv(variable, "x")
    with pytest.raises(SettingsError) as raised:
        load([environment_layer()])
    assert said in str(raised.value)


def test_variables_of_others_are_left_alone(monkeypatch):
    monkeypatch.setenv("SCRAPERS_CONCURRENCY", "x")
    monkeypatch.setenv("CONCURRENCY", "x")
    assert environment_layer().values == {}


# ── -s key=value ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("pair", "values"),
    [
        ("concurrency=5", {"concurrency": 5}),
        ("delay=1m", {"delay": "1m"}),
        ("delay=1.5", {"delay": 1.5}),
        ("obey_robots=false", {"obey_robots": False}),
        ("timeouts.read=30", {"timeouts": {"read": 30}}),
        ("user_agent=Mozilla/5.0 (X11; Linux) #1", {"user_agent": "Mozilla/5.0 (X11; Linux) #1"}),
        ('user_agent="quoted"', {"user_agent": "quoted"}),
        ('user_agent=say "hi" \\o/', {"user_agent": 'say "hi" \\o/'}),
        ("user_agent=a=b", {"user_agent": "a=b"}),
        ("user_agent=", {"user_agent": ""}),
        ('middlewares=["retry"]', {"middlewares": ["retry"]}),
        ('hosts."a.example:80".delay=2', {"hosts": {"a.example:80": {"delay": 2}}}),
    ],
)
def test_an_override_is_a_line_of_toml_whose_quotes_may_be_left_out(pair, values):
    assert override_layer([pair]) == Layer("-s", values)


def test_overrides_add_up_and_the_last_one_counts():
    layer = override_layer(["timeouts.read=1", "timeouts.total=2", "timeouts.read=3"])
    assert layer.values == {"timeouts": {"read": 3, "total": 2}}


@pytest.mark.parametrize("pair", ["concurrency", "", "=5", "a b=5", "user_agent=two\nlines"])
def test_an_override_that_is_none_is_said_in_words(pair):
    with pytest.raises(SettingsError, match="-s takes key=value, such as"):
        override_layer([pair])


def test_one_override_sets_one_setting():
    with pytest.raises(SettingsError, match="-s takes key=value"):
        override_layer(["concurrency=5\nobey_robots=false"])


@example_settings(deadline=None, database=None)
@given(st.text(max_size=20))
def test_no_override_is_anything_but_a_layer_or_a_settings_error(text):
    with suppress(SettingsError):
        override_layer([f"user_agent={text}"])


# ── flat ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_leaf_is_listed_with_its_path():
    listed = dict(flat(Settings(hosts={"a:80": {"delay": 3}})))
    assert listed["timeouts.read"] == 20.0
    assert listed["hosts.a:80.delay"] == 3.0
    assert listed["pipelines"] == []
    assert {key.split(".")[0] for key in listed} == set(Settings.model_fields)
