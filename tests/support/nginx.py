"""The shipped nginx.conf, run for real: only names, ports and paths are changed."""

import http.client
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import trustme

PROJECT = Path(__file__).resolve().parents[2]
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
BROTLI = Path("/usr/lib/nginx/modules/ngx_http_brotli_static_module.so")
MISSING = None if NGINX and BROTLI.exists() else "nginx or libnginx-mod-http-brotli-static is not installed"

ONION = "example.onion"

FRAME = """
load_module {brotli};
{user}
daemon off;
worker_processes {workers};
{numbers}
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
http {{
    include /etc/nginx/mime.types;
    sendfile on;
    tcp_nopush on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {more}
{site}
}}
"""


def site(folder: Path, app: str, static: Path) -> str:
    """deploy/nginx.conf, with the file that it includes, and with the paths of this machine; `app` is host:port."""
    text = (PROJECT / "deploy" / "nginx.conf").read_text()
    included = (PROJECT / "deploy" / "nginx-site.conf").read_text()
    for there, here in {
        "include /etc/nginx/snippets/petition-site.conf;": included,
        "unix:/run/petition/web.sock": app,
        "/srv/petition/var/static/": f"{static}/",
        "/srv/petition/deploy": str(PROJECT / "deploy"),
        "/var/cache/nginx/petition": f"{folder}/cache",
        "/var/log/nginx/petition.log": f"{folder}/access.log",
        "/etc/letsencrypt/live/petition.example.org": str(folder),
    }.items():
        assert there in text, there
        text = text.replace(there, here)
    return text


def numbers() -> str:
    """Lines that the head of deploy/nginx.conf asks for in nginx.conf itself."""
    text = (PROJECT / "deploy" / "nginx.conf").read_text()
    return "\n".join(re.findall(r"^#     (worker_rlimit_nofile .*|events .*)$", text, re.MULTILINE))


def on_loopback(text: str, port: int, closed_port: int, onion: str) -> str:
    """The same on other ports, of this machine alone; `onion` is where tor would lead."""
    text = text.replace("listen 127.0.0.1:8081", f"listen {onion}")
    text = re.sub(r"listen \[::\].*;", "", text)
    text = text.replace("listen 443 ", f"listen 127.0.0.1:{port} ")
    return text.replace("listen 80;", f"listen 127.0.0.1:{closed_port};")


def without_tls(text: str) -> str:
    return re.sub(r"ssl_\w+ .*;", "", re.sub(r"(listen .*) ssl( http2)?", r"\1", text))


def keep_certificate(folder: Path) -> None:
    """Lay down a certificate for 127.0.0.1, where site() says that it is.

    It is of the kind that the guide asks for: ECDSA, with one certificate between it and the root. So many names make
    the two as long as those of Let's Encrypt, some 2,200 bytes.
    """
    names = [f"name-{number:02}.petition.example.org" for number in range(37)]
    certificate = trustme.CA().create_child_ca().issue_cert("127.0.0.1", *names)
    folder.mkdir(parents=True, exist_ok=True)
    certificate.private_key_pem.write_to_path(folder / "privkey.pem")
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(folder / "fullchain.pem", append=True)


def write(folder: Path, site_text: str, workers: int = 1, more: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    user = "user root;" if os.getuid() == 0 else ""
    conf = folder / "nginx.conf"
    values = {"brotli": BROTLI, "user": user, "folder": folder, "workers": workers, "numbers": numbers()}
    conf.write_text(FRAME.format(**values, more=more, site=site_text))
    return conf


def command(conf: Path, *options: str) -> list[str]:
    assert NGINX, MISSING
    return [NGINX, *options, "-c", str(conf), "-p", str(conf.parent)]


def check(conf: Path) -> subprocess.CompletedProcess[str]:
    """Run `nginx -t`."""
    return subprocess.run(command(conf, "-t"), capture_output=True, text=True)


@contextmanager
def running(
    folder: Path,
    app: str,
    static: Path,
    ports: tuple[int, int],
    workers: int = 1,
    more: str = "",
    said: IO[bytes] | None = None,
    onion_port: int | None = None,
    tls: bool = False,
) -> Iterator[str]:
    """nginx on 127.0.0.1:ports[0] in front of `app`, until the block is left; without TLS unless it is asked for."""
    onion = f"127.0.0.1:{onion_port}" if onion_port else f"unix:{folder}/onion.sock"
    text = on_loopback(site(folder, app, static), *ports, onion)
    if tls:
        keep_certificate(folder)
    conf = write(folder, text if tls else without_tls(text), workers, more)
    process = subprocess.Popen(command(conf), stdin=subprocess.DEVNULL, stderr=said)
    try:
        for _attempt in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", ports[0])) == 0:
                    break
            assert process.poll() is None, check(conf).stderr
            time.sleep(0.05)
        yield f"{'https' if tls else 'http'}://127.0.0.1:{ports[0]}"
    finally:
        process.terminate()
        process.wait(10)


class Answer(http.client.HTTPResponse):
    body: bytes


def over_tor(port: int, circuit: int, path: str, method: str = "GET", body: str = "", **headers: str) -> Answer:
    """The answer to what tor passes on: it tells the number of the circuit before anything else."""
    source = f"fc00:dead:beef:4dad::{circuit >> 16:x}:{circuit & 0xFFFF:x}"
    given = {"Host": ONION, "Connection": "close", "Content-Length": str(len(body)), **headers}
    if method == "POST":
        given["Content-Type"] = "application/x-www-form-urlencoded"
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items()), "", body]
    with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
        connection.sendall(f"PROXY TCP6 {source} ::1 65535 42\r\n".encode() + "\r\n".join(lines).encode())
        answer = Answer(connection)
        answer.begin()
        answer.body = answer.read()
    return answer
