"""Addresses with credentials. The oracles are those who take them: SQLAlchemy, requests, urllib."""

from __future__ import annotations

import os
import subprocess
import sys
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.utils import get_auth_from_url
from sqlalchemy import make_url

from regexp.addresses import REMEMBERED, login, public, whole, withhold

PASSWORDS = ["secret", "s@cret", "se/cret", "12/cret", "se:cret", "s%cret", "ſecret", "s?c#t", "+"]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://me:secret@host:5000", "http://host:5000"),
        ("https://me:secret@host/path/@me?a=b#c", "https://host/path/@me?a=b#c"),
        ("https://secret@host/", "https://host/"),
        ("http://me:sec/ret@host:5000/a", "http://host:5000/a"),
        ("HTTP://me:secret@host", "HTTP://host"),
        ("http://me:secret@[::1]:5000/a@b", "http://[::1]:5000/a@b"),
        ("postgresql://me:secret@host:5432/runs", "postgresql://host:5432/runs"),
        ("postgresql+psycopg2://me:12/secret@host/runs", "postgresql+psycopg2://host/runs"),
        ("postgresql://me:sec@ret@host/runs", "postgresql://host/runs"),
        ("postgresql://me:sec?ret@host/runs", "postgresql://host/runs"),
        ("postgresql://me@host/runs", "postgresql://host/runs"),
        ("postgresql://host/runs?password=secret", "postgresql://host/runs"),
        ("postgresql://host/?user=me&sslpassword=secret&a=b", "postgresql://host/?user=me&a=b"),
        ("postgresql://host/?pass%77ord=secret", "postgresql://host/"),
        ("mssql+pyodbc:///?odbc_connect=PWD%3Dsecret", "mssql+pyodbc:///"),
        ("https://host/a.csv?X-Amz-Signature=secret&X-Amz-Date=1", "https://host/a.csv?X-Amz-Date=1"),
        ("https://host/a.csv?access_token=secret#part", "https://host/a.csv"),
        ("https://host/a.csv?subscription-key=secret&keyed=1", "https://host/a.csv?keyed=1"),
        ("https://host/?next=http://me:secret@other/", "https://host/?next=http://other/"),
        ("git+https://me:secret@host/a.git", "git+https://host/a.git"),
    ],
)  # fmt: skip
def test_nothing_secret_is_shown_of_an_address(address: str, expected: str) -> None:
    assert public(address) == expected
    assert public(f'cannot open {address} (key="{address} ")') == (
        f'cannot open {expected} (key="{expected} ")'
    )


@pytest.mark.parametrize(
    "text",
    [
        "http://host:5000/a@b", "http://[::1]:5000/x@y", "http://host/#/experiments/1@2",
        "https://host/a.csv?download=1&tokenizer=x", "sqlite:////home/me@work/a:b/mlflow.db",
        "sqlite:///C:/runs/mlflow.db", "file:///home/me@work/a", "s3://bucket/a@b", "me@host.org",
        "databricks", "a://", "://me:x@host", "key=[a,b]",
    ],
)  # fmt: skip
def test_an_address_without_credentials_stays_as_it_is(text: str) -> None:
    assert public(text) == withhold(text) == whole(text) == text
    assert REMEMBERED not in os.environ


@pytest.mark.parametrize("password", PASSWORDS)
def test_who_connects_gets_what_was_given(password: str) -> None:
    address = f"http://me:{quote(password, safe='')}@host:5000"
    assert withhold(address) == "http://host:5000"
    assert login("http://host:5000") == get_auth_from_url(address) == ("me", password)
    assert whole("http://other:5000") == "http://other:5000"
    assert login("http://other:5000") == ("", "")


@pytest.mark.parametrize("password", ["se/cret", "12/secret", "se:cret", "a b\tc", "s?cret"])
def test_a_database_gets_a_password_that_is_not_encoded(password: str) -> None:
    address = f"postgresql://me:{password}@host/runs"
    shown = withhold(address)
    assert shown == "postgresql://host/runs"
    assert make_url(whole(shown)).password == make_url(address).password == password


@given(st.text("abc:/?#@&=[]1.% ;", max_size=12), st.sampled_from(["http", "postgresql"]))
def test_what_is_public_stays_as_it_is(rest: str, scheme: str) -> None:
    """What connects is found by the public form of the public form."""
    shown = public(f"{scheme}://{rest}")
    assert public(shown) == shown


@given(
    user=st.text("abc1.-", max_size=4),
    password=st.text("abc1:/@. ?#", min_size=1, max_size=8),
    place=st.sampled_from(["host", "host:5432/runs", "[::1]:5432/runs?a=b@c", "host/?next=a:b@c"]),
)
def test_who_takes_an_address_apart_finds_nobody(user: str, password: str, place: str) -> None:
    address = f"postgresql://{user}:{quote(password, safe='')}@{place}"
    parts = urlsplit(public(address))
    assert parts == urlsplit(f"postgresql://{place}")
    assert parts.username is parts.password is None


def test_many_addresses_in_one_are_no_trouble() -> None:
    text = "http://a:b@" * 100_000
    assert "b@" not in public(text)[:20]


def test_the_last_password_counts_and_several_addresses_are_kept_apart() -> None:
    for address in ("http://a:1@h", "postgresql://b:2@h/x", "http://c:3@h"):
        withhold(address)
    assert whole("http://h") == "http://c:3@h"
    assert whole("postgresql://h/x") == "postgresql://b:2@h/x"
    assert os.environ[REMEMBERED].count("\n") == 1


def test_a_user_may_set_the_variable_and_children_inherit_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(REMEMBERED, " postgresql://me:secret@host/runs\n")
    code = "from regexp.addresses import whole; print(whole('postgresql://host/runs'))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "postgresql://me:secret@host/runs\n"
