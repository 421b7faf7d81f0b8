"""What Snakemake's plugin speaks to of Kubernetes, on this machine: jobs are kept, and run without containers."""

import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

Body = dict[str, Any]


class Kubernetes:
    """A server of the interface; the container of each job is a process in an empty folder.

    Attributes
    ----------
    jobs : list of dict
        The job specifications that came, in their order.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment, self.jobs = folder, environment, []
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.reply(outer.read(self.path))

            def do_POST(self) -> None:
                body = self.body()
                if self.path.endswith("/jobs"):
                    outer.start(body)
                self.reply(body)

            def do_DELETE(self) -> None:
                self.body()
                self.reply({"status": "Success"})

            def body(self) -> Body:
                return json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")

            def reply(self, body: Body) -> None:
                content = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def configuration(self) -> Path:
        """Write what `KUBECONFIG` names, and return its path."""
        path = self.folder / "kubeconfig"
        cluster = {"server": f"http://127.0.0.1:{self._server.server_port}"}
        context = {"name": "here", "context": {"cluster": "here", "user": "me"}}
        named = {"clusters": [{"name": "here", "cluster": cluster}], "users": [{"name": "me", "user": {}}]}
        path.write_text(yaml.safe_dump(named | {"contexts": [context], "current-context": "here"}))
        return path

    def start(self, job: Body) -> None:
        """Keep a job, and run the command of its container."""
        self.jobs.append(job)
        name, container = job["metadata"]["name"], container_of(job)
        place = self.folder / name
        place.mkdir()
        with (self.folder / f"{name}.log").open("wb") as log:
            command = [*container["command"], *container["args"]]
            process = subprocess.Popen(command, cwd=place, env=self.environment, stdout=log, stderr=log)
        self._processes[name] = process

    def read(self, path: str) -> Body:
        """Return the state of a job; no pods are told of, since there are none."""
        if "/jobs/" not in path:
            return {"items": []}
        name = path.split("/jobs/")[1].split("/")[0]
        code = self._processes[name].poll()
        state = "active" if code is None else "failed" if code else "succeeded"
        return {"metadata": {"name": name}, "status": {state: 1}}

    def close(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def container_of(job: Body) -> Body:
    """Return the only container of a job."""
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return container
