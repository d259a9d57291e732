"""Which client is tested against which backend: `tests/sdk/switch.json` says whether dialects are converted."""

import json
import os
from pathlib import Path

_SWITCH = json.loads((Path(__file__).parent.parent / "switch.json").read_text())

CONVERSION = bool(os.environ.get("LLM_PROXY_CONVERSION")) or _SWITCH["conversion"]
"""The variable is for trying out what the file does not promise yet."""

DIALECTS = ["chat", "messages", "responses"]


def backends(dialect):
    """The backends that a client of this dialect is tested against: its own, and with conversion all."""
    return DIALECTS if CONVERSION else [dialect]


def others(dialect):
    """The backends that need conversion."""
    return [backend for backend in backends(dialect) if backend != dialect]
