"""Runs the receivers of examples/receivers for .ci/receivers, each with a recorder in front of it."""

import dataclasses
import http.client
import http.server
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from decimal import Decimal

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent / "examples" / "receivers"
PROFILES = ["standard", "spektr", "spektr-v1", "spectra", "dataspike", "cloudevents"]
# The profile that has several events in a request.
IN_A_LIST = "spektr"
BOUND = 60


def hold(what, holds):
    if not holds:
        raise SystemExit(f"this does not hold: {what}")


def until(what, look):
    end = time.monotonic() + BOUND
    while not look():
        hold(what() if callable(what) else what, time.monotonic() < end)
        time.sleep(0.05)


@dataclasses.dataclass
class Recorded:
    """Keeps a request of Posthaste, and the status that the receiver answered."""
    profile: str
    headers: list
    body: bytes
    status: int

    def header(self, name):
        return next(value for key, value in self.headers if key.lower() == name)

    def ids(self):
        """Returns the ids of the events in the request."""
        if self.profile == IN_A_LIST:
            return [event["id"] for event in json.loads(self.body)["results"]]
        return [self.header("webhook-id")]


class Receiver:
    """Holds a receiver's process and the recorder in front of it. The webhooks lead to the recorder."""

    def __init__(self, name, command, **environment):
        self.name = name
        self.command = command
        self.environment = environment
        self.process = None
        self.port = None
        self.worked = []
        self.recorded = []
        self.webhooks = {}
        self.secrets = {}
        self.older = {}
        self.errors = tempfile.TemporaryFile("w+")
        receiver = self

        class Recorder(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                try:
                    status = receiver.send(self.path, self.headers.items(), body)
                    receiver.recorded.append(Recorded(self.path[1:], self.headers.items(), body, status))
                except OSError:
                    status = 502  # The receiver is being started again.
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.recorder = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
        self.recorder.daemon_threads = True
        threading.Thread(target=self.recorder.serve_forever, daemon=True).start()

    def start(self, secrets):
        """Runs the receiver with these secrets of each profile, instead of one that runs already."""
        self.stop()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        given = {f"{profile.upper().replace('-', '_')}_SECRETS": " ".join(secrets[profile]) for profile in PROFILES}
        command = [str(word).replace("PORT", str(self.port)) for word in self.command]
        self.process = subprocess.Popen(
            command, env=os.environ | self.environment | given | {"PORT": str(self.port)}, stdout=subprocess.PIPE,
            stderr=self.errors, text=True,
        )
        threading.Thread(target=self.read, args=[self.process.stdout], daemon=True).start()

    def listens(self):
        hold(f"the receiver {self.name} runs: {self.what_went_wrong()}", self.process.poll() is None)
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", self.port)) == 0

    def read(self, lines):
        """Reads the receiver's work, which is a line for each event: its profile, and the event as JSON."""
        for line in lines:
            profile, event = line.split(" ", 1)
            self.worked.append((profile, json.loads(event, parse_float=Decimal)))

    def send(self, path, headers, body):
        """Sends a request past the recorder. It returns the status of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=BOUND)
        connection.putrequest("POST", path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value.encode("latin-1"))
        connection.endheaders(body)
        status = connection.getresponse().status
        connection.close()
        return status

    def work_of(self, profile):
        """Counts how often the work of each event was done."""
        return Counter(event["id"] for worked, event in list(self.worked) if worked == profile)

    def requests(self, profile, since=0):
        return [request for request in self.recorded[since:] if request.profile == profile]

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def what_went_wrong(self):
        self.errors.seek(0)
        return self.errors.read()[-4000:]


def receivers(folder):
    """Builds the receivers. It writes below `folder` only."""
    for file in ("receiver.js", "package.json"):
        shutil.copy(EXAMPLES / "express" / file, folder / "express")
    go = os.environ | {"GOCACHE": str(folder / "go-cache"), "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
    hold("gofmt changes nothing", not subprocess.check_output(["gofmt", "-l", EXAMPLES / "go"]))
    subprocess.run(["go", "vet", "."], check=True, cwd=EXAMPLES / "go", env=go)
    subprocess.run(["go", "build", "-o", folder / "go-receiver", "."], check=True, cwd=EXAMPLES / "go", env=go)
    manifest = EXAMPLES / "axum" / "Cargo.toml"
    subprocess.run(["cargo", "fmt", "--check", "--manifest-path", manifest], check=True)
    subprocess.run(
        ["cargo", "build", "--locked", "--quiet", "--manifest-path", manifest, "--target-dir", folder / "axum"], check=True,
    )
    return [
        Receiver("Express", ["node", folder / "express" / "receiver.js"]),
        Receiver(
            "FastAPI",
            [folder / "fastapi" / "bin" / "uvicorn", "receiver:app", "--port", "PORT", "--app-dir", EXAMPLES / "fastapi",
             "--log-level", "warning"],
            PYTHONDONTWRITEBYTECODE="1",
        ),
        Receiver("Go", [folder / "go-receiver"]),
        Receiver("axum", [folder / "axum" / "debug" / "receiver"]),
    ]
