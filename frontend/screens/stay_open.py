"""Expanders that open by themselves where there is something to see, and then stay as the user has them."""

import streamlit as st


def stays_open(key: str, is_worth_seeing: bool) -> bool:
    """Returns whether an expander begins open: as it was worth when it was first shown under this key."""
    return bool(st.session_state.setdefault(f"{key}-opens", is_worth_seeing))
