"""What every screen shares: the client, errors as sentences, choices kept in the URL, empty states."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from string import punctuation
from typing import Literal

import streamlit as st

from frontend.api_client import ApiClient
from frontend.connection import ApiProblem, find_endpoint
from frontend.wording import sentence

SCREENS = Path(__file__).parent / "screens"
POLL_SECONDS = 2.0
MARKUP = frozenset("\\`*_{}[]()#+!|<>$~^:")


@st.cache_resource(max_entries=4, show_spinner=False, on_release=ApiClient.close)
def _client(url: str, token: str | None) -> ApiClient:
    return ApiClient(url, token)


def client() -> ApiClient:
    """Returns the client of the API that runs now; it may have moved to another port since the last look."""
    return _client(*find_endpoint())


@contextmanager
def problems_in_sentences(*, recover: bool = True) -> Iterator[None]:
    """Shows an API problem where it happens instead of a traceback.

    Args:
        recover: watch for an API that did not answer, and run the page again when it does. Panels that poll anyway
            set it to False.
    """
    try:
        yield
    except ApiProblem as problem:
        if problem.unreachable and recover:
            _show_unreachable(problem)
        else:
            show_problem(problem)


def show_problem(problem: ApiProblem) -> None:
    """Shows a problem's sentences."""
    lines = [plain(sentence(line)) for line in problem.sentences]
    st.error(lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines))


def _show_unreachable(problem: ApiProblem) -> None:
    with st.container(border=True, key="api-down"):
        st.subheader("PairLab is not running", anchor=False)
        st.markdown(plain(" ".join(problem.sentences)))
        st.caption("This page goes on by itself as soon as the API answers.")
        st.button("Try again", key="api-retry", type="primary")
    _await_api()


@st.fragment(run_every=POLL_SECONDS)
def _await_api() -> None:
    if client().answers():
        st.rerun()


def header(title: str, lead: str) -> None:
    """Shows a screen's title and, in a sentence, what it is for."""
    st.title(title, anchor=False)
    st.caption(lead)


def empty(title: str, text: str, *, page: str | None = None, label: str = "") -> None:
    """Shows what is missing and what to do next; `page` names the screen to go to."""
    with st.container(border=True, key=f"empty-{title.lower().replace(' ', '-')}"):
        st.subheader(title, anchor=False)
        st.markdown(text)
        if page is not None:
            st.page_link(screen(page), label=label, icon=":material/arrow_forward:", icon_position="right")


def screen(name: str) -> str:
    """Returns the address of a screen's file for links and page switches."""
    return str(SCREENS / f"{name}.py")


def choose(
    label: str,
    options: Sequence[str],
    *,
    parameter: str,
    shown: Callable[[str], str] = str,
    default: str | None = None,
    drops: Sequence[str] = (),
    help: str | None = None,
) -> str:
    """Returns the option that the URL names, after the user's choice; the URL follows the choice.

    Args:
        label: of the box.
        options: ids, at least one.
        parameter: of the URL.
        shown: text of an id, which must be its own and stay the same; ids, not texts, stand in the URL.
        default: taken where the URL names nothing (the first option without it).
        drops: parameters of the URL that belong to the earlier choice and go with it.
        help: what is to be chosen.
    """
    key = f"choose-{parameter}"
    wanted = st.query_params.get(parameter)
    if wanted is None or wanted not in options:
        if wanted is not None:
            st.info(f"{label} “{plain(wanted)}” is not here (any more); showing another one.")
        wanted = default if default is not None and default in options else options[0]
        st.query_params[parameter] = wanted
    if st.session_state.get(key) != wanted:
        st.session_state[key] = wanted

    def follow() -> None:
        if st.session_state[key] in options:
            drop_parameters(*drops)
            st.query_params[parameter] = st.session_state[key]

    chosen: str = st.selectbox(
        label, options, key=key, format_func=shown, on_change=follow, help=help, filter_mode="contains"
    )
    return chosen


def choose_else_default(
    label: str,
    options: Sequence[str],
    *,
    parameter: str,
    default: str,
    shown: Callable[[str], str] = str,
    drops: Sequence[str] = (),
    hidden_label: bool = False,
) -> str:
    """Returns the option that the URL names, after the user's choice; the default stays out of the URL.

    Args:
        label: of the box.
        options: ids, at least one.
        parameter: of the URL.
        default: taken where the URL names none of the options.
        shown: text of an id.
        drops: parameters of the URL that belong to the earlier choice and go with it.
        hidden_label: whether the label is read to people alone who do not see the box.
    """
    key = f"choose-{parameter}"
    named = st.query_params.get(parameter)
    wanted = named if named in options else default if default in options else options[0]

    def follow() -> None:
        chosen = st.session_state[key]
        drop_parameters(*drops)
        remember_in_url({parameter: "" if chosen == default else chosen})

    visibility: Literal["collapsed", "visible"] = "collapsed" if hidden_label else "visible"
    chosen: str = st.selectbox(
        label, options, key=set_widget(key, wanted), format_func=shown, on_change=follow, label_visibility=visibility
    )
    return chosen


def drop_parameters(*names: str) -> None:
    """Removes parameters from the URL where they stand in it."""
    for name in names:
        if name in st.query_params:
            del st.query_params[name]


def remember_in_url(values: Mapping[str, str]) -> None:
    """Writes parameters that differ from the URL's; an empty value removes its parameter."""
    for name, value in values.items():
        if not value:
            drop_parameters(name)
        elif st.query_params.get(name) != value:
            st.query_params[name] = value


def parameters() -> dict[str, list[str]]:
    """Returns the URL's parameters, each with all its values."""
    return {name: st.query_params.get_all(name) for name in st.query_params}


def write_parameters(names: Iterable[str], values: Mapping[str, Sequence[str]]) -> None:
    """Gives parameters of the URL other values; those without one leave it."""
    for name in names:
        if not values.get(name):
            drop_parameters(name)
        elif st.query_params.get_all(name) != list(values[name]):
            st.query_params[name] = list(values[name])


def set_widget(key: str, value: object) -> str:
    """Returns the key of a widget that is to show a value, before it is made."""
    if key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value
    return key


def facts(values: Mapping[str, object]) -> None:
    """Shows names and values below each other."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in values.items())
    st.html(f'<dl class="pl-facts">{rows}</dl>')


def plain(text: str) -> str:
    """Returns text that Markdown shows as it is: names and messages cannot inject markup; `commands` stay code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return _escaped(text)
    return "`".join(part if place % 2 else _escaped(part) for place, part in enumerate(parts))


def verbatim(text: str) -> str:
    """Returns text of the data (a name, a value) that Markdown shows letter by letter: no markup, no code, no link."""
    return "".join(f"\\{letter}" if letter in punctuation else letter for letter in text)


def _escaped(text: str) -> str:
    return "".join(f"\\{letter}" if letter in MARKUP else letter for letter in text)
