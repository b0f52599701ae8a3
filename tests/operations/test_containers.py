"""What Containerfile and compose.yaml promise: who has which key, who has a network, and the site of the guide."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
CONTAINERS = PROJECT / "deploy" / "container"
COMPOSE = (PROJECT / "compose.yaml").read_text()
IMAGES = (PROJECT / "Containerfile").read_text()
# Each service of compose.yaml, as it is written.
SERVICES = dict(
    re.findall(
        r"^  (\w+):\n((?:    .*\n|\n)+)", COMPOSE.partition("\nservices:\n")[2].partition("\nnetworks:\n")[0], re.M
    )
)
APP = COMPOSE.partition("x-app: &app\n")[2].partition("\nservices:\n")[0]


def mounts(name):
    return set(re.findall(r"([\w-]+):(?:/[\w/-]+)", SERVICES[name].partition("volumes:")[2]))


def test_only_the_worker_has_the_key_of_digests_and_the_keys_of_the_hour():
    assert {name for name in SERVICES if "worker-keys" in mounts(name)} == {"setup", "worker"}
    assert {name for name in SERVICES if "outbox-keys" in mounts(name)} == {"worker", "memory"}
    assert "EMAIL_DIGEST_KEY" not in COMPOSE
    assert "type: tmpfs" in COMPOSE.partition("  outbox-keys:")[2]


def test_only_the_worker_and_nginx_have_a_network():
    assert {name for name, text in SERVICES.items() if "networks: " in text} == {"worker", "front"}
    assert {name for name, text in SERVICES.items() if "network_mode: none" in text} == set(SERVICES) - {
        "worker",
        "front",
    }


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_may_write_to_its_image_or_gain_rights(name):
    text = SERVICES[name].replace("    <<: *app\n", APP)

    assert "read_only: true" in text
    assert "cap_drop: [ALL]" in text
    assert "security_opt: [no-new-privileges]" in text


def test_two_values_are_enough():
    assert set(re.findall(r"\$\{(\w+)", COMPOSE)) == {"HOST", "EMAIL_URL", "CERTIFICATE"}
    assert "${CERTIFICATE:-}" in COMPOSE


def test_what_compose_says_of_the_app_the_settings_know():
    known = set(
        re.findall(r"^#?([A-Z_]+)=", "".join(path.read_text() for path in (PROJECT / "deploy").glob("*.env")), re.M)
    )

    assert set(re.findall(r"^    ([A-Z_]+): ", APP, re.M)) <= known


def test_the_images_name_no_registry_and_hold_no_secret():
    assert re.findall(r"^(?:FROM|ARG) (.*)$", IMAGES, re.M)[0] == "BASE=debian:trixie-slim"
    assert not re.search(r"\w+\.\w+/\w+:", IMAGES)
    assert not re.search(r"(KEY|PASSWORD|TOKEN)=", IMAGES)
    assert set((PROJECT / ".containerignore").read_text().split()) >= {".*", "var"}  # .env and .git among them


@pytest.mark.parametrize("script", ["start", "database", "front"])
def test_a_shell_reads_the_scripts(script):
    assert subprocess.run(["sh", "-n", CONTAINERS / script]).returncode == 0
    assert os.access(CONTAINERS / script, os.X_OK)


@pytest.mark.parametrize(("status", "code"), [("200 OK", 0), ("503 Service Unavailable", 1)])
def test_the_health_of_the_container_is_that_of_the_site(tmp_path, status, code):
    path = tmp_path / "web.sock"
    script = tmp_path / "healthy"
    script.write_text((CONTAINERS / "healthy").read_text().replace("/run/petition/web.sock", str(path)))
    asked = []

    def answer():
        with server.accept()[0] as peer:
            asked.append(peer.recv(4096).decode())
            body = json.dumps({"status": "as it is"})
            peer.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=answer)
        thread.start()
        environment = {"SITE_URL": "https://petition.example.org"}
        done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True)
        thread.join()

    assert (done.returncode, done.stdout.strip()) == (code, '{"status": "as it is"}')
    assert asked[0].startswith("GET /healthz ")
    assert "Host: petition.example.org\r\n" in asked[0]


def test_the_database_of_the_containers_is_set_up_as_the_guide_does_it():
    step = (PROJECT / "docs" / "install.md").read_text().partition("## 3. PostgreSQL")[2].partition("## 4. ")[0]
    commands = re.findall(r"^ *runuser -u postgres -- (.*)$", step, re.M)
    ours = [line.strip().replace(" --quiet", "") for line in (CONTAINERS / "database").read_text().splitlines()]

    assert len(commands) == 5
    assert set(commands) <= set(ours)
