"""What users import and type: a name that is here is kept; one that is not is free to change."""

import dataclasses
import inspect

import typer

import scraper
from scraper.cli import app
from scraper.settings import Settings

COMMANDS = typer.main.get_command(app).commands


def options(command: str) -> set[str]:
    shown = [parameter for parameter in COMMANDS[command].params if not getattr(parameter, "hidden", False)]
    return {name for parameter in shown for name in parameter.opts if name.startswith("-")}


def test_the_names_to_import():
    assert scraper.__all__ == [
        "CrawlSpider",
        "DropItem",
        "Item",
        "Request",
        "Response",
        "Retry",
        "Rule",
        "SitemapSpider",
        "Spider",
        "StopCrawl",
        "__version__",
    ]
    assert all(hasattr(scraper, name) for name in scraper.__all__)


def test_the_commands():
    crawling, reading = {"crawl", "run", "resume"}, {"runs", "stats", "failed", "retry", "why", "export"}
    about_projects = {"list", "settings", "startproject", "genspider"}
    assert set(COMMANDS) == crawling | reading | about_projects | {"bench", "worker", "jobs"}


def test_the_commands_about_runs():
    assert set(COMMANDS["runs"].commands) == {"prune", "check"}
    assert options("runs") == {"--json"}


def test_every_command_says_what_it_does():
    assert [name for name, command in COMMANDS.items() if not command.help] == []


def test_the_options_of_a_crawl():
    asked = {"-a", "--argument", "-s", "--set", "-o", "--output", "--append", "--run", "--resume"}
    limits = {"--max-pages", "--max-items", "--max-time"}
    assert options("crawl") == asked | limits | {"--log"}
    assert options("run") == options("crawl") - {"--resume"}
    assert options("resume") == limits | {"-s", "--set", "--log"}


def test_the_settings_that_the_manual_names():
    named = {"client", "concurrency", "per_host", "delay", "user_agent", "obey_robots", "max_failed"}
    tables = {"timeouts", "retry", "proxies", "feeds", "frontier", "middlewares", "pipelines"}
    assert named | tables <= set(Settings.model_fields)


def test_what_a_spider_may_have():
    named = {"name", "start_urls", "allowed_domains", "custom_settings", "ok", "state", "log"}
    named |= {"open", "start", "parse", "close", "login", "fetch", "expire", "enter"}
    assert {
        name for name in dir(type("Mine", (scraper.Spider,), {"name": "mine"})()) if name[0] != "_"
    } == named


def test_what_a_request_takes():
    fields = set(inspect.signature(scraper.Request).parameters)
    assert fields >= {"url", "callback", "errback", "method", "headers", "body", "json", "form", "data"}
    assert fields >= {"priority", "dont_filter", "ok", "session", "proxy", "timeout", "max_body"}
    assert fields >= {"not_before", "delay", "auth"}


def test_what_a_response_has():
    named = {"url", "status", "headers", "body", "text", "encoding", "json", "request", "data", "html"}
    has = set(dir(scraper.Response)) | {field.name for field in dataclasses.fields(scraper.Response)}
    assert named | {"css", "xpath", "follow", "follow_all"} <= has
