"""examples/deploy holds: its files against the published schemas, against each other, and its command lines as processes of this machine,
with the rights that the files give them. There are no containers here: addresses and paths are mapped, words and variables are not."""
import copy
import functools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import unittest
import urllib.error
import urllib.request

from live import BIN, CLEAN_ENV, LIMIT_S, ROOT, Server, alive, directory, family, shell, task, until
from services import HAVE_MARIADB, HAVE_REDIS, MariaDb, Redis

try:
    import jsonschema
    import yaml
except ImportError:
    yaml = None

DEPLOY = ROOT / "examples" / "deploy"
SCHEMAS = pathlib.Path(__file__).parent / "schemas"
UNITS = sorted(DEPLOY.glob("systemd/*.service"))
RIGHTS = ["setpriv", "--reuid=10001", "--regid=10001", "--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro / && shift && exec "$@"'  # all but that folder

ROOTED = os.geteuid() == 0


@functools.cache
def may_be_read_only():
    return ROOTED and subprocess.run(["unshare", "-m", "sh", "-c", READ_ONLY, "sh", str(SCHEMAS), "true"], capture_output=True).returncode == 0


def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def manifests():
    return [doc for path in sorted(DEPLOY.glob("k8s/*.yaml")) for doc in yaml.safe_load_all(path.read_text())]


def manifest(kind, name):
    return next(m for m in manifests() if (m["kind"], m["metadata"]["name"]) == (kind, name))


def pods():
    """The template of every pod, by the name of what makes it."""
    return {m["metadata"]["name"]: m["spec"]["template"] for m in manifests() if m["kind"] in ("Deployment", "StatefulSet")}


def container(name):
    return pods()[name]["spec"]["containers"][0]


def dockerfile():
    """Its instructions: (word, rest), with continued lines as one."""
    lines = [line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    return [line.split(None, 1) for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines() if line]


def image():
    """Entry point and environment of the last stage."""
    made = dockerfile()
    return json.loads(dict(made)["ENTRYPOINT"]), dict(rest.split("=", 1) for word, rest in made if word == "ENV")


def seconds(words, default=10):
    """--stop-timeout of a command line."""
    return int(words[words.index("--stop-timeout") + 1].removesuffix("s")) if "--stop-timeout" in words else default


def valid(schema, what):
    """What the schema says against it."""
    return [f"{list(e.absolute_path)}: {e.message}" for e in jsonschema.Draft201909Validator(schema).iter_errors(what)]


def kubernetes(doc):
    """The schema of that kind, found by its apiVersion as the API server finds it."""
    schema = json.loads((SCHEMAS / "kubernetes.json").read_text())
    return {**schema, "$ref": f"#/$defs/{doc['apiVersion'].replace('/', '.')}.{doc['kind']}"}


@unittest.skipUnless(yaml, "no python3-yaml, no python3-jsonschema")
class Files(unittest.TestCase):
    maxDiff = None

    def test_compose_against_its_schema(self):
        schema, doc = json.loads((SCHEMAS / "compose-spec.json").read_text()), compose()
        self.assertEqual(valid(schema, doc), [])
        doc["services"]["worker1"]["comand"] = []
        self.assertNotEqual(valid(schema, doc), [], "the schema notices a wrong word")

    def test_manifests_against_their_schemas(self):
        for doc in manifests():
            with self.subTest(doc["kind"], name=doc["metadata"]["name"]):
                self.assertEqual(valid(kubernetes(doc), doc), [])
        for path, wrong in (("livenessProb", {}), ("ports", [{"containerPort": "8088"}]), ("securityContext", {"readOnlyRootFileSystem": True})):
            doc = copy.deepcopy(manifest("Deployment", "weir-manager"))
            doc["spec"]["template"]["spec"]["containers"][0][path] = wrong
            self.assertEqual(len(valid(kubernetes(doc), doc)), 1, path)

    def test_which_pods_there_are(self):
        made = {(m["kind"], m["metadata"]["name"]) for m in manifests()}
        self.assertEqual({m["metadata"].get("namespace", "weir") for m in manifests()}, {"weir"})
        for wanted in (("Deployment", "weir-manager"), ("Deployment", "weir-worker"), ("Deployment", "redis"), ("StatefulSet", "mariadb")):
            self.assertIn(wanted, made)
        port = manifest("Service", "weir-manager")["spec"]
        self.assertEqual((port["type"], port["ports"][0]["nodePort"]), ("NodePort", 30080))
        self.assertNotIn("volumes", pods()["redis"]["spec"], "Redis keeps nothing")
        self.assertEqual([v["metadata"]["name"] for v in manifest("StatefulSet", "mariadb")["spec"]["volumeClaimTemplates"]], ["data"])
        self.assertEqual(sorted(compose()["services"]), ["manager1", "manager2", "mariadb", "redis", "worker1", "worker2"])

    def test_names_meet(self):
        """What selects finds pods, what is named is there."""
        labels = [template["metadata"]["labels"] for template in pods().values()]
        for doc in manifests():
            spec = doc.get("spec", {})
            wanted = spec.get("selector", {}) if doc["kind"] == "Service" else spec.get("selector", {}).get("matchLabels", {})
            if wanted:
                self.assertTrue([have for have in labels if wanted.items() <= have.items()], doc["metadata"])
            if doc["kind"] == "Service":
                found = next(t for t in pods().values() if wanted.items() <= t["metadata"]["labels"].items())
                named = {p["name"]: p["containerPort"] for c in found["spec"]["containers"] for p in c["ports"]}
                self.assertEqual([p["port"] for p in spec["ports"]], [named[p["targetPort"]] for p in spec["ports"]])
        rule = manifest("NetworkPolicy", "stores")["spec"]
        self.assertEqual(set(rule["podSelector"]["matchExpressions"][0]["values"]), {"mariadb", "redis"})
        allowed = rule["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
        self.assertEqual({n for n, t in pods().items() if allowed.items() <= t["metadata"]["labels"].items()}, {"weir-manager", "weir-worker"})
        for name, template in pods().items():
            spec, claims = template["spec"], {"data"} if name == "mariadb" else set()
            for each in [*spec["containers"], *spec.get("initContainers", [])]:
                mounts = {m["name"] for m in each.get("volumeMounts", [])}
                self.assertLessEqual(mounts, {v["name"] for v in spec.get("volumes", [])} | claims, name)

    def test_one_command_line_in_all(self):
        """The same words and variables in compose file and manifests; the same roles in the units."""
        services = compose()["services"]
        for pod, names in (("weir-manager", ("manager1", "manager2")), ("weir-worker", ("worker1", "worker2")), ("redis", ("redis",)),
                           ("mariadb", ("mariadb",))):
            for name in names:
                self.assertEqual(container(pod)["args"], services[name]["command"])
                self.assertEqual(container(pod)["image"], services[name]["image"])
                plain = {e["name"]: e["value"] for e in container(pod).get("env", []) if "value" in e}
                self.assertEqual(plain, services[name].get("environment", {}))
        for name in ("manager", "worker"):
            words, line = container(f"weir-{name}")["args"], unit(DEPLOY / "systemd" / f"weir-{name}.service")["ExecStart"][0].split()[1:]
            self.assertEqual(line[line.index("--roles") + 1], words[words.index("--roles") + 1])

    def test_words_are_options(self):
        """`weir config` takes every command line: no unknown option, no value that is refused."""
        lines = [s["command"] for s in compose()["services"].values() if s["image"].startswith("weir:")]
        for words in [*lines, *(unit(path)["ExecStart"][0].split()[1:] for path in UNITS)]:
            self.assertEqual(words[0], "server")
            done = subprocess.run([BIN, "config", *words[1:]], capture_output=True, text=True, env=CLEAN_ENV, timeout=LIMIT_S)
            self.assertEqual((done.returncode, done.stderr), (0, ""), words)

    def test_executors(self):
        """What is laid beside the compose file is right, too, and its variables are options that the processes there take."""
        schema, doc = json.loads((SCHEMAS / "compose-spec.json").read_text()), yaml.safe_load((DEPLOY / "compose.executors.yaml").read_text())
        self.assertEqual(valid(schema, doc), [])
        said = set()
        for name, more in doc["services"].items():
            base = compose()["services"][name]
            done = subprocess.run([BIN, "config", *base["command"][1:]], capture_output=True, text=True, timeout=LIMIT_S,
                                  env={**CLEAN_ENV, **more["environment"]})
            self.assertEqual((done.returncode, done.stderr), (0, ""), name)
            said |= set(re.findall(r"(?m)^(\S+) +(\S+) +\(environment\)$", done.stdout))
        self.assertEqual(said, {("allow-executors", "on"), ("executor-dir", "/opt/weir/programs")})

    def test_rights(self):
        """The strictest of the three levels that Kubernetes names; the same in the compose file."""
        self.assertEqual(manifest("Namespace", "weir")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted")
        for name, template in pods().items():
            spec = template["spec"]
            self.assertEqual((spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["seccompProfile"]["type"]),
                             (True, "RuntimeDefault"))
            self.assertGreater(spec["securityContext"]["runAsUser"], 0)
            self.assertIs(spec["automountServiceAccountToken"], False)
            for each in [*spec["containers"], *spec.get("initContainers", [])]:
                self.assertEqual(each["securityContext"], {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                           "capabilities": {"drop": ["ALL"]}}, name)
                self.assertTrue(each["resources"]["requests"] and each["resources"]["limits"], name)
        for name, service in compose()["services"].items():
            self.assertIs(service["read_only"], True, name)
            self.assertEqual((service["cap_drop"], service["security_opt"]), (["ALL"], ["no-new-privileges:true"]), name)
            self.assertTrue(service["user"] and service["mem_limit"])
        user = str(pods()["weir-manager"]["spec"]["securityContext"]["runAsUser"])
        self.assertEqual({dict(dockerfile())["USER"], compose()["services"]["worker1"]["user"]}, {f"{user}:{user}"})

    def test_time_to_stop(self):
        """Nobody kills a process before its planned stop is over."""
        for name in ("weir-manager", "weir-worker"):
            hook = container(name)["lifecycle"]["preStop"]["exec"]["command"]
            self.assertIn(hook[0], ("sleep", "timeout"))
            self.assertGreater(pods()[name]["spec"]["terminationGracePeriodSeconds"], int(hook[1]) + seconds(container(name)["args"]))
        for name in ("manager1", "manager2", "worker1", "worker2"):
            service = compose()["services"][name]
            self.assertGreater(int(service["stop_grace_period"].removesuffix("s")), seconds(service["command"]))
            self.assertEqual(service["restart"], "unless-stopped")
        for path in UNITS:
            self.assertGreater(int(unit(path)["TimeoutStopSec"][0]), seconds(unit(path)["ExecStart"][0].split()))

    def test_secrets(self):
        """Made once, for their owner alone, and in no command line, no manifest."""
        with directory() as tmp:
            shutil.copy(DEPLOY / "secrets.sh", tmp)
            done = subprocess.run(["sh", tmp / "secrets.sh"], capture_output=True, text=True, umask=0)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
            made = {p.name: p.read_text() for p in (tmp / "secrets").iterdir()}
            self.assertEqual({p.stat().st_mode & 0o777 for p in (tmp / "secrets").iterdir()}, {0o600})
            again = subprocess.run(["sh", tmp / "secrets.sh"], capture_output=True, text=True)
            self.assertEqual((again.returncode, {p.name: p.read_text() for p in (tmp / "secrets").iterdir()}), (1, made))
            self.assertIn("is there already", again.stderr)
        self.assertEqual(sorted(made), ["mariadb.env", "weir.env", "weir.token"])
        self.assertRegex(made["weir.token"], r"\A[0-9a-f]{64}\Z")
        password = re.search(r"^MARIADB_PASSWORD=([0-9a-f]{64})$", made["mariadb.env"], re.M)[1]
        self.assertEqual(made["weir.env"], f"WEIR_STORE=mysql://weir:{password}@mariadb:3306/weir\n")
        keys, known = {"weir": {"WEIR_STORE"}}, {"weir", "weir-token", "mariadb"}  # as docs/how-to/deploy.md makes them
        for name, template in pods().items():
            spec = template["spec"]
            for each in [*spec["containers"], *spec.get("initContainers", [])]:
                self.assertFalse([w for w in [*each.get("args", []), *each.get("command", [])] if "@" in w], name)
                for e in each.get("env", []):
                    self.assertNotIn("@", e.get("value", ""))
                    if "valueFrom" in e:
                        self.assertIn(e["valueFrom"]["secretKeyRef"]["key"], keys[e["valueFrom"]["secretKeyRef"]["name"]])
            named = {v["secret"]["secretName"] for v in spec.get("volumes", []) if "secret" in v}
            self.assertLessEqual(named | {f["secretRef"]["name"] for f in spec["containers"][0].get("envFrom", [])}, known)
        page = (ROOT / "docs/how-to/deploy.md").read_text()
        self.assertEqual(set(re.findall(r"create secret generic (\S+)", page)), known)
        for name, service in compose()["services"].items():
            self.assertFalse([w for w in service["command"] if "@" in w], name)
            self.assertIn(pathlib.Path(service.get("env_file", "secrets/weir.env")).name, made)

    def test_dockerfile(self):
        """What builds is what ./dev installs, without what only tests need; what runs is what the program is linked with."""
        text = " ".join(" ".join(line) for line in dockerfile())
        build, run = (set(re.split(r"\s+", m.split("&&")[0].strip())) for m in re.findall(r"--no-install-recommends (.*?)(?= WORKDIR| RUN)", text))
        known = re.search(r"^build_packages=\((.*?)\)", (ROOT / "dev").read_text(), re.M | re.S)[1].split()
        self.assertEqual(build, set(known) - {"libcmocka-dev"})
        production = re.search(r"^apt-get install (libjansson4 .*)$", (ROOT / "docs/how-to/production.md").read_text(), re.M)[1].split()
        self.assertEqual(run, set(production))
        stages = [rest.split()[0] for word, rest in dockerfile() if word == "FROM"]
        self.assertEqual(stages[1:], ["debian:12-slim"] * 2)
        after = [word for word, _ in dockerfile()]
        self.assertIn("USER", after[len(after) - after[::-1].index("FROM"):], "the last stage is not root's")
        for word, rest in dockerfile():
            self.assertIn(word, {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE", "ENTRYPOINT", "CMD"})
            if word == "COPY" and "--from" not in rest:
                for source in rest.split()[:-1]:
                    self.assertTrue((ROOT / source).exists(), source)

    @unittest.skipUnless(shutil.which("dpkg-query") and shutil.which("readelf"), "no dpkg, no readelf")
    def test_libraries_of_the_image(self):
        needed = subprocess.run(["readelf", "-d", BIN], capture_output=True, text=True, check=True).stdout
        names = [n for n in re.findall(r"\(NEEDED\).*\[(.*)\]", needed) if not re.match(r"lib(asan|ubsan|tsan)\.", n)]
        packages = subprocess.run(["dpkg-query", "-S", *(f"*-linux-gnu/{n}" for n in names)], capture_output=True, text=True).stdout
        owners = {line.split(":")[0] for line in packages.splitlines()} - {"libc6", "libgcc-s1"}
        text = next(rest for word, rest in reversed(dockerfile()) if word == "RUN" and "apt-get" in rest)
        self.assertEqual({p for p in owners if re.search(rf"\b{re.escape(p)}\b", text)}, owners)


def unit(path):
    """The directives of a unit: name to values, in their order."""
    made = {}
    for line in path.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, value = line.split("=", 1)
            made.setdefault(name, []).append(value)
    return made


class Hooks(unittest.TestCase):
    """The preStop of a worker's pod, with the container beside it: run here by this machine's shell."""

    def hooks(self, tmp, url, env):
        """Both, at once, as Kubernetes starts them: (that of the worker, that of the container beside it)."""
        (tmp / "bin").mkdir()
        (tmp / "bin/weir").symlink_to(pathlib.Path(BIN).resolve())
        env = {**CLEAN_ENV, "PATH": f"{tmp}/bin:{CLEAN_ENV['PATH']}", "WEIR_SERVER": url, **env}
        return [subprocess.Popen([w.replace("/run/weir", str(tmp)) for w in each["lifecycle"]["preStop"]["exec"]["command"]], env=env,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for each in pods()["weir-worker"]["spec"]["containers"]]

    def ended(self, hooks):
        return [(h.communicate(timeout=LIMIT_S)[0], h.returncode) for h in hooks]

    def test_drains(self):
        with directory() as tmp:
            server = Server(tmp / "data", dev=False)
            self.addCleanup(server.kill)
            server.token = (tmp / "data/weir.token").read_text().strip()
            (worker, worked), (drain, drained) = self.ended(self.hooks(tmp, server.url, {"WEIR_TOKEN_FILE": str(tmp / "data/weir.token")}))
            self.assertEqual((worked, drained), (0, 0), worker + drain)
            self.assertEqual([m["state"] for m in server.call("GET", "/members", token=server.token)], ["DRAINED"])
            self.assertEqual(server.stop(), 0)

    def test_the_api_is_away(self):
        with directory() as tmp:
            (worker, worked), (drain, drained) = self.ended(self.hooks(tmp, "http://127.0.0.1:1", {}))
            self.assertEqual((worked, drained), (0, 0), worker + drain)
            self.assertTrue((tmp / "drained").exists())

    def test_who_has_the_token(self):
        """Not the container whose tasks could read it; and only the other one may say that it is drained."""
        worker, drain = pods()["weir-worker"]["spec"]["containers"]
        self.assertEqual({m["name"] for m in drain["volumeMounts"]}, {"drained", "token"})
        self.assertNotIn("token", {m["name"] for m in worker["volumeMounts"]})
        self.assertIs(next(m for m in worker["volumeMounts"] if m["name"] == "drained")["readOnly"], True)
        self.assertFalse(pods()["weir-worker"]["spec"].get("shareProcessNamespace", False))
        hook = drain["lifecycle"]["preStop"]["exec"]["command"][-1]
        self.assertLess(int(re.search(r"--timeout (\d+)s", hook)[1]), int(worker["lifecycle"]["preStop"]["exec"]["command"][1]))


class Units(unittest.TestCase):
    ALL = {"Restart": "always", "KillMode": "mixed", "NoNewPrivileges": "yes", "AmbientCapabilities": "", "ProtectSystem": "strict",
           "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes", "ProtectClock": "yes", "ProtectHostname": "yes",
           "ProtectKernelLogs": "yes", "ProtectKernelModules": "yes", "ProtectKernelTunables": "yes", "ProtectControlGroups": "yes",
           "RestrictNamespaces": "yes", "RestrictRealtime": "yes", "RestrictSUIDSGID": "yes", "LockPersonality": "yes",
           "SystemCallArchitectures": "native", "EnvironmentFile": "/etc/weir/weir.env"}
    MORE = {"weir-manager": {"User": "weir", "CapabilityBoundingSet": "", "UMask": "0077"},
            "weir-worker": {"CapabilityBoundingSet": "CAP_SETUID CAP_SETGID CAP_KILL CAP_CHOWN CAP_DAC_OVERRIDE"}}

    def test_directives(self):
        self.assertEqual([path.stem for path in UNITS], sorted(self.MORE))
        for path in UNITS:
            wanted, have = {**self.ALL, **self.MORE[path.stem]}, unit(path)
            self.assertEqual({name: have.get(name) for name in wanted}, {name: [value] for name, value in wanted.items()})
            self.assertNotIn("@", have["ExecStart"][0])

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze")
    def test_systemd_knows_them(self):
        """No word that it does not know; 0 to 10, how much is open: a worker starts as root, for tasks of another user."""
        with directory() as tmp:
            for path in UNITS:
                (tmp / path.name).write_text(path.read_text().replace("/usr/local/bin/weir", str(pathlib.Path(BIN).resolve())))
                done = subprocess.run(["systemd-analyze", "verify", tmp / path.name], capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
                most = {"weir-manager": 20, "weir-worker": 45}[path.stem]
                done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={most}", tmp / path.name],
                                      capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stdout[-200:] + done.stderr)


class WordsOfRedis(Redis):
    """A private Redis with the words of the compose file."""
    words = ()

    def command(self):
        return [*self.words, "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "777", "--dir", str(self.dir)]


class Contained(Server):
    """A process as its container is: the image's entry point, the words and variables given, no rights, nothing writable but its volume.
    Where this machine or user does not allow that, with less of it."""

    def __init__(self, room, name, words, env, rights=RIGHTS):
        self.volume, self.rights = room / name, rights
        if not self.volume.exists():
            self.volume.mkdir()
            self.volume.chmod(0o777)                   # as a new emptyDir is
        entry, variables = image()
        self.env = {"PATH": CLEAN_ENV["PATH"], **variables, **env}
        self.env["WEIR_DATA"] = self.env["WEIR_DATA"].replace("/var/lib/weir", str(self.volume))
        self.program = [str(room / entry[0]), *entry[1:]]
        self.lines, self.url, self.port, self.ready = [], None, None, threading.Event()
        self.process = subprocess.Popen(self.wrapped(*self.program, *(w.replace(":8088", ":0") for w in words)), stdin=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True, errors="replace", env=self.env, cwd="/")
        self.pid, self.token = self.process.pid, None
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        if not self.ready.wait(LIMIT_S) or self.process.poll() is not None:
            self.kill()
            raise AssertionError(f"{name} is not ready:\n" + "".join(self.lines))

    def wrapped(self, *words):
        alone = ["unshare", "-m", "sh", "-c", READ_ONLY, "sh", str(self.volume)] if may_be_read_only() else []
        return [*alone, *(self.rights if ROOTED else []), *words]

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            if match := re.fullmatch(r"listening on http://0\.0\.0\.0:(\d+)\n", line):
                self.port = match[1]
                self.url = f"http://127.0.0.1:{self.port}"
            if self.url or line == "ready\n":
                self.ready.set()
        self.ready.set()

    def run(self, *words):
        """One more command in its container."""
        return subprocess.run(self.wrapped(*words), capture_output=True, text=True, env=self.env, timeout=LIMIT_S, cwd="/")

    def call(self, method, path, body=None, token=None):
        return super().call(method, path, body, token or self.token)

    def attempts(self):
        """Scripts of tasks that run below it."""
        found = []
        for pid in family(self.pid):
            try:
                found += [pid] if pathlib.Path(f"/proc/{pid}/comm").read_text() == "sh\n" else []
            except OSError:
                pass
        return found


@unittest.skipUnless(yaml and HAVE_MARIADB and HAVE_REDIS, "no mariadbd, no redis-server, no python3-yaml, no python3-jsonschema")
class Cluster(unittest.TestCase):
    def setUp(self):
        room = directory()
        self.tmp = room.__enter__()
        self.addCleanup(room.__exit__, None, None, None)
        self.tmp.chmod(0o755)
        shutil.copy(DEPLOY / "secrets.sh", self.tmp)
        subprocess.run(["sh", self.tmp / "secrets.sh"], check=True)
        shutil.copy(BIN, self.tmp / "weir")
        (self.tmp / "weir").chmod(0o755)
        self.services = compose()["services"]
        self.db = MariaDb(self.tmp, None, *self.services["mariadb"]["command"])
        self.addCleanup(self.db.stop)
        given = self.file_of("secrets/mariadb.env")
        self.db.sql(f"CREATE USER {given['MARIADB_USER']}@localhost IDENTIFIED BY '{given['MARIADB_PASSWORD']}';"
                    f"GRANT ALL ON {given['MARIADB_DATABASE']}.* TO {given['MARIADB_USER']}@localhost", database=None)
        self.redis = type("Words", (WordsOfRedis,), {"words": self.services["redis"]["command"]})(self.tmp)
        self.addCleanup(self.redis.stop)

    def file_of(self, path):
        return dict(line.split("=", 1) for line in (self.tmp / path).read_text().splitlines())

    def mapped(self, env):
        """The private services in place of the names."""
        env = {k: v.replace("@mariadb:3306/weir", f"@localhost/weir?socket={self.db.socket}") for k, v in env.items()}
        return {k: v.replace("redis://redis:6379/0", self.redis.url) for k, v in env.items()}

    def up(self, name):
        """As `docker compose up` starts it."""
        service = self.services[name]
        made = Contained(self.tmp, name, service["command"], self.mapped({**self.file_of(service["env_file"]), **service["environment"]}))
        self.addCleanup(made.kill)
        return made

    @staticmethod
    def asked(url):
        """What a probe gets."""
        try:
            with urllib.request.urlopen(url, timeout=LIMIT_S) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def test_compose(self):
        """A flow and 100 tasks through manager 1. Meanwhile manager 2 is killed for good, and worker 1 is killed and started again, as
        its restart policy says. All are done, and what worker 1 ran counts as lost once."""
        manager1 = self.up("manager1")
        self.assertIn("manager1", self.services["manager2"]["depends_on"])
        self.assertIn("manager1", self.services["worker1"]["depends_on"])
        check = [w.replace("/8088", f"/{manager1.port}") for w in self.services["manager1"]["healthcheck"]["test"]]
        self.assertEqual(check.pop(0), "CMD")
        until("manager 1 is healthy", lambda: manager1.run(*check).returncode == 0)
        self.assertNotEqual(manager1.run(*[w.replace("/readyz", "/nowhere") for w in check]).returncode, 0)
        manager1.token = manager1.run(*manager1.program, "token", "show").stdout.strip()  # as the page has the reader type it
        manager2, worker1, worker2 = self.up("manager2"), self.up("worker1"), self.up("worker2")
        manager2.token = manager1.token

        go = self.tmp / "go"
        script = f'until [ -e "{go}" ]; do sleep 0.05; done; id -u'
        body = [{"taskName": f"t{i}", "taskType": "SHELL", "taskContent": script} for i in range(100)]
        flow = manager1.flow(task("a", "ECHO", "x"), shell("b", script, "a"), task("c", "ECHO", "y", "b"))
        tasks = manager1.post("/exec/tasks", {"tasks": body[:50]})
        self.assertEqual(manager2.get(f"/monitor/flow/{flow}")["status"], "RUNNING")
        until("both workers run tasks", lambda: len(worker1.attempts()) > 1 and worker2.attempts())  # one may be the flow's
        lost = set(worker1.attempts())
        for killed in (manager2, worker1):
            killed.kill()
        tasks += manager1.post("/exec/tasks", {"tasks": body[50:]})
        worker1 = self.up("worker1")
        until("nothing of the former worker 1 lives", lambda: not any(map(alive, lost)))
        go.touch()
        self.assertEqual(manager1.ended(flow)["state"], "SUCCESS")
        ended = lambda ti: (lambda row: row if row["execStatus"] != "RUNNING" else None)(manager1.get(f"/monitor/task/{ti}"))
        rows = [until(f"task {ti} ends", lambda: ended(ti)) for ti in tasks]
        self.assertEqual({row["state"] for row in rows}, {"SUCCESS"})
        self.assertEqual(len(rows), 100)
        self.assertTrue(any(row["losses"] for row in rows))
        self.assertLessEqual({row["losses"] for row in rows}, {0, 1})
        for left in (manager1, worker1, worker2):
            self.assertEqual(left.stop(), 0, "".join(left.lines))

    def test_kubernetes(self):
        """Pods of the manifests: the token comes from the Secret, probes and hooks answer, SIGTERM is the planned stop."""
        spec, pod = container("weir-manager"), pods()["weir-manager"]["spec"]
        secret = {**self.file_of("secrets/weir.env"), "weir.token": (self.tmp / "secrets/weir.token").read_text()}
        env = self.mapped({e["name"]: e.get("value") or secret[e["valueFrom"]["secretKeyRef"]["key"]] for e in spec["env"]})
        mount = next(m["mountPath"] for m in pod["initContainers"][0]["volumeMounts"] if m["name"] == "token")
        managers = []
        for name in ("pod1", "pod2"):
            (self.tmp / name).mkdir()
            (self.tmp / name).chmod(0o777)
            os.chmod(self.tmp / "secrets", 0o755)
            os.chmod(self.tmp / "secrets/weir.token", 0o644)  # readable for the group of the pod
            words = [w.replace(mount, str(self.tmp / "secrets")) for w in pod["initContainers"][0]["command"]]
            rights = RIGHTS if ROOTED else []
            subprocess.run([*rights, *words], check=True, env={"PATH": CLEAN_ENV["PATH"], "WEIR_DATA": f"{self.tmp}/{name}/node"}, cwd="/")
            managers.append(Contained(self.tmp, name, spec["args"], env))
            self.addCleanup(managers[-1].kill)
            managers[-1].token = secret["weir.token"]
        for manager in managers:
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                get = spec[probe]["httpGet"]
                self.assertEqual(get["port"], spec["ports"][0]["name"])
                until(f"{probe} answers", lambda: self.asked(manager.url + get["path"]) == 200)
            self.assertEqual(manager.get("/flow"), [], "the Secret's token counts at every manager")
            hook = spec["lifecycle"]["preStop"]["exec"]["command"]
            self.assertEqual(subprocess.run([hook[0], "0"]).returncode, 0)
        spec = container("weir-worker")
        env = self.mapped({e["name"]: e.get("value") or secret[e["valueFrom"]["secretKeyRef"]["key"]] for e in spec["env"]})
        worker = Contained(self.tmp, "worker", spec["args"], env)
        self.addCleanup(worker.kill)
        run = managers[0].post("/exec/task?wait=30", {"taskName": "who", "taskType": "SHELL", "taskContent": 'id -u > "$WEIR_OUTPUT"'})
        self.assertEqual((run["state"], run["result"]), ("SUCCESS", "10001\n" if ROOTED else f"{os.geteuid()}\n"))
        for process in (worker, *managers):
            process.signal(signal.SIGTERM)
        self.assertEqual([process.wait() for process in (worker, *managers)], [0, 0, 0])

    @unittest.skipUnless(ROOTED, "needs root")
    def test_unit_of_the_worker(self):
        """The rights that its unit leaves are enough: it starts as root, gives that up, and runs a task as another user."""
        manager = self.up("manager1")
        manager.token = (self.tmp / "manager1/node/weir.token").read_text().strip()
        made, folder = unit(DEPLOY / "systemd/weir-worker.service"), self.tmp / "worker"
        folder.mkdir()
        folder.chmod(0o711)
        shutil.chown(folder, "daemon", "daemon")       # for weir; games for weir-tasks
        caps = ",".join(f"+{cap.removeprefix('CAP_').lower()}" for cap in made["CapabilityBoundingSet"][0].split())
        words = [{"weir-tasks": "games", made["ReadWritePaths"][0]: str(folder)}.get(w, w) for w in made["ExecStart"][0].split()[1:]]
        env = self.mapped({**self.file_of("secrets/weir.env"), "WEIR_QUEUE": "redis://redis:6379/0"})
        worker = Contained(self.tmp, "worker", words, env, ["setpriv", "--no-new-privs", f"--bounding-set=-all,{caps}", "--inh-caps=-all"])
        self.addCleanup(worker.kill)
        self.assertEqual(pathlib.Path(f"/proc/{worker.pid}").stat().st_uid, folder.stat().st_uid)
        run = manager.post("/exec/task?wait=30", {"taskName": "who", "taskType": "SHELL", "taskContent": 'id -un > "$WEIR_OUTPUT"'})
        self.assertEqual((run["state"], run["result"]), ("SUCCESS", "games\n"))
        self.assertEqual([worker.stop(), manager.stop()], [0, 0])


if __name__ == "__main__":
    unittest.main()
