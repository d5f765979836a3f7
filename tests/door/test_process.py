"""`positions-mcp serve --transport http` for callers who sign in, as a process: by TLS, and behind a proxy."""

from __future__ import annotations

import re
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from data_dirs import CLEAN
from door.signing import Issuer
from door.test_entrance import SIGN_IN, certificate
from over_http.serving import INITIALIZE

# Nobody answers there: the issuer is out of reach.
OUT_OF_REACH = SIGN_IN.replace("https://login.example.com", "http://127.0.0.1:9")
METADATA = "/.well-known/oauth-protected-resource/mcp"
CAME_BY_PROXY = {"X-Forwarded-Host": "trading.example.com", "X-Forwarded-Proto": "https", "X-Forwarded-For": "1.2.3.4"}


@contextmanager
def serving(folder: Path, options: Sequence[str]) -> Iterator[int]:
    """The process, and the port that it says it has."""
    file = folder / "firm.toml"
    file.write_text(OUT_OF_REACH)
    command = [
        sys.executable,
        "-m",
        "positions_mcp",
        "serve",
        "--transport",
        "http",
        "--port",
        "0",
        "--config",
        str(file),
    ]
    with subprocess.Popen(
        [*command, "--data-dir", str(folder / "data"), *options], env=CLEAN, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        try:
            said = next((line for line in process.stderr if line.startswith("PAPER")), "")
            port = re.search(
                r"^PAPER MCP server at https://trading\.example\.com/mcp, listening at 127\.0\.0\.1 port (\d+)\. "
                r"Callers sign in at http://127\.0\.0\.1:9\.$",
                said,
            )
            assert port, said
            yield int(port[1])
            process.terminate()
            assert process.wait(60) == 0
        finally:
            process.kill()


@pytest.mark.requirement("O-01", "O-03")
@pytest.mark.parametrize("way", ["TLS", "proxy"])
def test_it_asks_everybody_to_sign_in_and_calls_no_token_bad_that_it_cannot_judge(way: str, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    by_tls = way == "TLS"
    options = ["--tls-cert", str(cert), "--tls-key", str(key)] if by_tls else ["--behind-proxy", "127.0.0.1"]
    came = {"Host": "trading.example.com"} if by_tls else CAME_BY_PROXY
    said = {"Accept": "application/json, text/event-stream", **came}
    with serving(tmp_path, options) as port:
        base = f"{'https' if by_tls else 'http'}://127.0.0.1:{port}"
        trusts = ssl.create_default_context(cafile=str(cert))
        with httpx2.Client(base_url=base, verify=trusts, headers=said, timeout=30) as http:
            assert http.get(METADATA).json()["resource"] == "https://trading.example.com/mcp"
            stranger = http.post("/mcp", json=INITIALIZE)
            assert stranger.status_code == 401
            assert f'resource_metadata="https://trading.example.com{METADATA}"' in stranger.headers["www-authenticate"]
            token = Issuer().token(iss="http://127.0.0.1:9", exp=4_000_000_000)
            unjudged = http.post("/mcp", json=INITIALIZE, headers={"Authorization": f"Bearer {token}"})
            assert (unjudged.status_code, "retry-after" in unjudged.headers) == (503, True)
            ready = http.get("/readyz")
            assert ready.status_code == 503, "another replica may know the keys"
            assert ready.json()["checks"]["sign-in"] == "the authorization server's keys have not been read yet"
            if not by_tls:
                in_clear = http.get(METADATA, headers={"X-Forwarded-Proto": "http"})
                assert in_clear.status_code == 403
