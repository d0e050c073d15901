# SPDX-License-Identifier: Apache-2.0
"""What is around the programs: man pages, shell scripts, units, policies, Terraform, the deployer.

None of these needs a running gantryd.  Templates (*.in) are checked as make would write them.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

import harness

TOP = harness.SRCDIR
DIRECTORIES = {
    "bindir": "/usr/bin",
    "sbindir": "/usr/sbin",
    "pkglibexecdir": "/usr/libexec/gantry",
    "sysconfdir": "/etc",
    "localstatedir": "/var",
    "runstatedir": "/run",
    "pkgdatadir": "/usr/share/gantry",
}


def substituted(path, **more):
    """The text that make writes from a .in file."""
    text = path.read_text()
    for name, value in {**DIRECTORIES, **more}.items():
        text = text.replace(f"@{name}@", value)
    return text


def run(*argv, **options):
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, **options)


def tool(name, package):
    found = shutil.which(name)
    assert found, f"{name} is missing: install the package {package}"
    return found


# -- templates ---------------------------------------------------------------------------------------


def templates():
    return sorted(path for folder in ("etc", "man", "contrib") for path in (TOP / folder).rglob("*.in"))


@pytest.mark.parametrize("path", templates(), ids=lambda path: path.name)
def test_template_leaves_no_name_unsubstituted(path):
    assert re.findall(r"@[a-z]+@", substituted(path)) == []


def test_each_template_is_built_and_distributed():
    rules = "".join((TOP / folder / "Makefile.inc").read_text() for folder in ("etc", "man", "contrib"))
    for path in templates():
        name = str(path.relative_to(TOP))
        made = name.removesuffix(".in")
        assert f"{made}: {name}\n" in rules, f"{made} has no dependency line"
        assert re.search(rf"^\t{re.escape(name)}( \\)?$", rules, re.MULTILINE), f"{name} is not in EXTRA_DIST"


def test_each_file_is_distributed():
    """Git tells which there are; in an unpacked release there is nothing left to be forgotten."""
    listed = run("git", "-C", str(TOP), "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    packed = {"configure.ac", "Makefile.am", "README.md", "NEWS", ".gitignore"}     # by automake; the last by nobody
    for rules in [TOP / "Makefile.am", *TOP.rglob("Makefile.inc")]:
        packed |= {str(rules.relative_to(TOP)), *rules.read_text().split()}
    names = [name for name in listed.stdout.split("\0")[:-1]
             if (TOP / name).exists() and not name.startswith("tests/data/")]
    assert [name for name in names if name not in packed] == []


# -- what people copy --------------------------------------------------------------------------------

CONSUMER_ENVIRONMENT = {
    "CONSUMER_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/requests",
    "CLUSTER_NAME": "deploy",
    "TASK_DEFINITION_MYSTICAL": "mystical",
    "CONTAINER_MYSTICAL": "app",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
}


@pytest.mark.parametrize("name", ["README.md", "etc/gantry.yaml"])
def test_configuration_that_people_start_from_is_right(name, tmp_path):
    text = (TOP / name).read_text()
    if name.endswith(".md"):
        text = re.search(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL).group(1)
    configuration = tmp_path / "gantry.yaml"
    configuration.write_text(text)
    environment = harness.clean_environment(HOME=str(tmp_path), **CONSUMER_ENVIRONMENT)
    verdict = run(str(harness.BUILDDIR / "gantryd"), "-t", "-c", str(configuration), env=environment)
    assert (verdict.returncode, verdict.stdout, verdict.stderr) == (0, f"{configuration}: ok\n", "")


# -- man pages ---------------------------------------------------------------------------------------


def man_pages():
    return sorted(path for path in (TOP / "man").iterdir() if re.search(r"\.[0-9](\.in)?$", path.name)
                  and not path.with_name(path.name + ".in").exists())


@pytest.mark.parametrize("path", man_pages(), ids=lambda path: path.name)
def test_man_page_is_clean(path, tmp_path):
    page = tmp_path / path.name.removesuffix(".in")
    page.write_text(substituted(path))
    lint = run(tool("mandoc", "mandoc"), "-T", "lint", "-W", "warning", str(page))
    assert lint.stdout + lint.stderr == ""


@pytest.mark.parametrize("path", man_pages(), ids=lambda path: path.name)
def test_man_page_refers_to_pages_that_exist(path):
    ours = {tuple(page.name.removesuffix(".in").rsplit(".", 1)) for page in man_pages()}
    for name, section in re.findall(r"^\.Xr (\S+) ([0-9])", path.read_text(), re.MULTILINE):
        if name.startswith("gantry"):
            assert (name, section) in ours, f"{path.name} refers to {name}({section})"


def test_gantryctl_page_has_each_command_and_option():
    done = run(str(harness.BUILDDIR / "gantryctl"), "--json", "--help", env=harness.clean_environment())
    page = (TOP / "man/gantryctl.8.in").read_text()
    table = json.loads(done.stdout)
    assert len(table) >= 11
    for command in table:
        name = command["name"]
        item = re.search(rf"^\.It Cm {name}\b.*(\n\.?O.*)*", page, re.MULTILINE)
        assert item, f"gantryctl(8) lacks {name}"
        described = set(re.findall(r"Fl \\-([a-z-]+)", item.group(0)))
        assert described == {option["name"] for option in command["options"]}, name
        short = set(re.findall(r"Fl ([a-z])\b", item.group(0)))
        assert short == {option["short"] for option in command["options"] if option["short"]}, name


def test_there_are_five_man_pages():
    names = {path.name.removesuffix(".in") for path in man_pages()}
    assert {"gantryd.8", "gantry-api.8", "gantryctl.8", "gantry.yaml.5", "gantry.7"} <= names


# -- shell -------------------------------------------------------------------------------------------


def shell_scripts():
    found = [TOP / ".ci/run"] if (TOP / ".ci/run").exists() else []
    for folder in ("etc", "contrib", "tests"):
        for path in sorted((TOP / folder).rglob("*")):
            if path.is_file() and path.suffix not in (".o", ".a") and not path.with_name(path.name + ".in").exists():
                with path.open("rb") as file:
                    if re.match(rb"#! ?/(usr/)?bin/(env )?(ba)?sh\b", file.read(32)) or path.suffix == ".sh":
                        found.append(path)
    return found


@pytest.mark.parametrize("path", shell_scripts(), ids=lambda path: str(path.relative_to(TOP)))
def test_shell_script_is_clean(path, tmp_path):
    script = path
    if path.suffix == ".in":
        script = tmp_path / path.stem
        script.write_text(substituted(path))
    check = run(tool("shellcheck", "shellcheck"), "-x", str(script), cwd=TOP)
    assert check.stdout + check.stderr == ""


def test_logrotate_takes_the_configuration(tmp_path):
    """With a pid file that names a stranger: the logs are rotated, the stranger lives."""
    logrotate = shutil.which("logrotate", path="/usr/sbin:" + os.environ["PATH"])
    assert logrotate, "logrotate is missing: install the package logrotate"
    log = tmp_path / "log/gantry/gantryd.log"
    pid_file = tmp_path / "run/gantry/gantryd.pid"
    for path in (log, pid_file):
        path.parent.mkdir(parents=True)
    log.write_text("a line\n")
    text = substituted(TOP / "etc/gantry.logrotate.in", localstatedir=str(tmp_path), runstatedir=str(tmp_path / "run"))
    text = text.replace("@localstatedir@", str(tmp_path))
    configuration = tmp_path / "gantry.logrotate"
    configuration.write_text(re.sub(r"create 0640 gantry adm", "create 0640", text))
    configuration.chmod(0o644)

    def rotate():
        return run(logrotate, "--force", "--state", str(tmp_path / "state"), str(configuration))

    with subprocess.Popen(["sleep", "600"]) as stranger:
        pid_file.write_text(f"{stranger.pid}\n")
        done = rotate()
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "log/gantry/gantryd.log.1").read_text() == "a line\n"
        assert stranger.poll() is None
        stranger.kill()
    # The process that holds the pid file open is the one that is told.
    log.write_text("another line\n")
    with pid_file.open("r+", encoding="ascii") as held:
        with subprocess.Popen(["sleep", "600"], stdin=held) as master:
            pid_file.write_text(f"{master.pid}\n")
            done = rotate()
            assert done.returncode == 0, done.stderr
            assert master.wait(timeout=10) == -signal.SIGUSR1


# -- systemd -----------------------------------------------------------------------------------------


def unit_settings(text):
    return [line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#")]


def test_unit_keeps_what_the_design_rests_on():
    settings = dict(unit_settings(substituted(TOP / "contrib/systemd/gantry.service.in")))
    assert settings["Type"] == "notify"
    assert settings["KillMode"] == "process"
    assert settings["RuntimeDirectoryPreserve"] == "yes"
    assert settings["OOMPolicy"] == "continue"
    assert settings["ExecReload"].startswith("/usr/bin/gantryctl ") and settings["ExecReload"].endswith(" reload")
    assert "ExecStartPre" not in settings and "PIDFile" not in settings


def test_strict_drop_in_does_not_weaken_the_unit():
    drop_in = unit_settings((TOP / "contrib/systemd/ecs-only.conf").read_text())
    assert {"KillMode", "Type", "ExecStart", "ExecReload", "User"}.isdisjoint(name for name, _ in drop_in)
    assert dict(drop_in)["ProtectSystem"] == "strict"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is part of the package systemd")
@pytest.mark.parametrize("with_drop_in", [False, True], ids=["alone", "with ecs-only.conf"])
def test_unit_is_understood_by_systemd(tmp_path, with_drop_in):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("gantryd", "gantryctl"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    unit = tmp_path / "gantry.service"
    text = (TOP / "contrib/systemd/gantry.service.in").read_text()
    for name in ("bindir", "sbindir"):
        text = text.replace(f"@{name}@", str(programs))
    unit.write_text(text.replace("@sysconfdir@", "/etc"))
    if with_drop_in:
        (tmp_path / "gantry.service.d").mkdir()
        shutil.copy(TOP / "contrib/systemd/ecs-only.conf", tmp_path / "gantry.service.d")
    verdict = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit))
    assert "gantry.service" not in verdict.stderr and "ecs-only" not in verdict.stderr, verdict.stderr
    assert verdict.returncode == 0, verdict.stderr


# -- containers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["container", "deployer"])
def test_image_runs_as_an_ordinary_user(name):
    lines = (TOP / "contrib" / name / "Dockerfile").read_text().splitlines()
    last_stage = lines[max(i for i, line in enumerate(lines) if line.startswith("FROM ")):]
    assert any(re.match(r"USER (?!root|0)", line) for line in last_stage)
    assert "STOPSIGNAL SIGTERM" in last_stage


def test_image_has_the_libraries_of_the_programs():
    """What the built programs are linked with, by Debian package, is what the image installs."""
    programs = [harness.BUILDDIR / name for name in ("gantryd", "gantryctl", "gantry-worker", "gantry-check")]
    image = (TOP / "contrib/container/Dockerfile").read_text().rsplit("FROM ", 1)[1]
    needed = set()
    for program in programs:
        listing = run("objdump", "-p", str(program))
        assert listing.returncode == 0, f"{listing.stderr} (is BUILDDIR set?)"
        paths = dict(re.findall(r"(\S+) => (\S+)", run("ldd", str(program)).stdout))
        for library in re.findall(r"NEEDED +(\S+)", listing.stdout):
            if library not in paths or re.match(r"lib(asan|ubsan|gcc_s|c|m|pthread|dl)\.so", library):
                continue
            # The folder of this architecture, below /lib or /usr/lib, whichever the package knows.
            owner = run("dpkg", "-S", f"*/{Path(paths[library]).parent.name}/{library}").stdout
            assert owner, f"no package has {paths[library]}"
            needed.add(re.sub(r"[:,].*", "", owner.splitlines()[0]))
    assert "libev4" in needed
    for package in needed:
        assert re.search(rf"\b{re.escape(package)}\b", image), f"the image does not install {package}"


def test_compose_file_hands_over_what_the_configuration_asks_for():
    compose = (TOP / "contrib/container/compose.yaml").read_text()
    given = set(re.findall(r"^ {6}([A-Z_]+):", compose, re.MULTILINE))
    configuration = re.sub(r"(^|\s)#.*", "", (TOP / "etc/gantry.yaml").read_text())
    asked = set(re.findall(r"\$\{([A-Z_]+)\}", configuration))
    assert asked <= given, f"compose.yaml does not set {sorted(asked - given)}"


# -- AWS ---------------------------------------------------------------------------------------------

# What gantryd calls, and nothing else.
GANTRYD_ACTIONS = {
    "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl", "sqs:SendMessage", "ecs:RunTask", "ecs:DescribeTasks", "ecs:StopTask", "ecs:ListTasks",
    "ecs:TagResource", "iam:PassRole", "kms:Decrypt", "kms:GenerateDataKey", "logs:GetLogEvents", "sns:Publish",
}
# An action whose resource is "*" is held by its condition.
UNBOUNDED = {"ecs:ListTasks": "ecs:cluster"}


def as_list(value):
    return value if isinstance(value, list) else [value]


def test_policy_grants_what_gantryd_calls_and_no_more():
    policy = json.loads((TOP / "contrib/iam/gantry-policy.json").read_text())
    assert policy["Version"] == "2012-10-17"
    granted = set()
    for statement in policy["Statement"]:
        assert set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition"}
        assert statement["Effect"] == "Allow"
        keys = {key for operator in statement.get("Condition", {}).values() for key in operator}
        for action in as_list(statement["Action"]):
            granted.add(action)
            if action.startswith("ecs:") and action != "ecs:TagResource":
                assert "ecs:cluster" in keys, f"{action} is not bound to a cluster"
            if as_list(statement["Resource"]) == ["*"]:
                assert UNBOUNDED[action] in keys
        if "iam:PassRole" in as_list(statement["Action"]):
            assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    assert granted == GANTRYD_ACTIONS


class Hcl:
    """As much of HCL as it takes to know blocks, attributes and references."""

    def __init__(self, text, name):
        self.name = name
        self.text = self.without_comments(text)
        self.check_brackets()

    def without_comments(self, text):
        out, i, quoted = [], 0, False
        while i < len(text):
            if quoted and text[i] == "\\":
                out.append(text[i:i + 2])
                i += 2
                continue
            if text[i] == '"':
                quoted = not quoted
            elif text[i] == "\n":
                assert not quoted, f"{self.name}: a string does not end in its line"
            elif not quoted and (text[i] == "#" or text.startswith("//", i)):
                i = text.index("\n", i)
            out.append(text[i])
            i += 1
        assert not quoted
        return "".join(out)

    def check_brackets(self):
        # Brackets in strings stand in pairs too: "${...}".
        stack = []
        for line_number, line in enumerate(self.text.splitlines(), 1):
            for character in line:
                if character in "([{":
                    stack.append(character)
                elif character in ")]}":
                    assert stack and "([{".index(stack.pop()) == ")]}".index(character), f"{self.name}:{line_number}"
        assert stack == [], f"{self.name}: {stack} left open"

    def body(self, start):
        depth, i = 1, start
        while depth:
            depth += {"{": 1, "}": -1}.get(self.text[i], 0)
            i += 1
        return self.text[start:i - 1]


def terraform_files():
    return [Hcl(path.read_text(), path.name) for path in sorted((TOP / "contrib/terraform").glob("*.tf"))]


def test_terraform_refers_only_to_what_is_declared():
    files = terraform_files()
    text = "\n".join(file.text for file in files)
    variables = set(re.findall(r'^variable "(\w+)"', text, re.MULTILINE))
    resources = {".".join(pair) for pair in re.findall(r'^resource "(\w+)" "(\w+)"', text, re.MULTILINE)}
    data = {"data." + ".".join(pair) for pair in re.findall(r'^data "(\w+)" "(\w+)"', text, re.MULTILINE)}
    names = set()
    for file in files:
        for match in re.finditer(r"^locals \{", file.text, re.MULTILINE):
            names |= set(re.findall(r"^ {2}(\w+)\s*=", file.body(match.end()), re.MULTILINE))
    used_variables = set(re.findall(r"\bvar\.(\w+)", text))
    used_data = set(re.findall(r"\bdata\.aws_\w+\.\w+", text))
    used_resources = set(re.findall(r"(?<![\w.])aws_\w+\.\w+", text))
    used_locals = set(re.findall(r"\blocal\.(\w+)", text))
    assert used_variables == variables, "undeclared or unused variables"
    assert used_data == data, "undeclared or unused data"
    assert used_resources <= resources, "undeclared resources"
    assert used_locals == names, "undeclared or unused locals"


def test_terraform_and_the_policy_grant_the_same():
    iam = next(file for file in terraform_files() if file.name == "iam.tf")
    start = re.search(r'^data "aws_iam_policy_document" "gantryd" \{', iam.text, re.MULTILINE).end()
    assert set(re.findall(r'"((?:sqs|ecs|iam|kms|logs|sns):\w+)"', re.sub(r"variable\s+= .*", "", iam.body(start)))) == GANTRYD_ACTIONS


def test_terraform_names_the_variables_of_the_configuration():
    outputs = (TOP / "contrib/terraform/outputs.tf").read_text()
    for name in ("CONSUMER_QUEUE_URL", "CLUSTER_NAME", "TASK_DEFINITION_MYSTICAL", "CONTAINER_MYSTICAL"):
        assert f'"{name}=' in outputs


@pytest.mark.skipif(not shutil.which("terraform"), reason="Debian has no terraform; the tests above read the files themselves")
def test_terraform_is_formatted():
    verdict = run("terraform", "fmt", "-check", "-diff", str(TOP / "contrib/terraform"))
    assert verdict.returncode == 0, verdict.stdout


# -- the deployer ------------------------------------------------------------------------------------

BUILD_SCRIPT = """#!/bin/sh
set -e
mkdir -p public/assets
echo "$PROJECT $REF $COMMIT ${BUILD_TARGET:-none}" >public/index.html
echo "body {}" >public/assets/site.css
echo "credentials: ${AWS_SECRET_ACCESS_KEY:-none}"
"""


class Project:
    """A git repository to deploy from and a folder to publish to."""

    def __init__(self, top):
        self.path = top / "repository"
        self.published = top / "www"
        self.scratch = top / "tmp"
        self.bin = top / "bin"
        for folder in (self.path, self.published, self.scratch, self.bin):
            folder.mkdir()
        self.git("init", "-q", "-b", "main")
        self.commit("build.sh", BUILD_SCRIPT)

    def git(self, *argv):
        done = run("git", "-c", "user.name=Test", "-c", "user.email=test@example.com", "-C", str(self.path), *argv)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, name, text):
        (self.path / name).write_text(text)
        (self.path / name).chmod(0o755)
        self.git("add", name)
        self.git("commit", "-q", "-m", f"Change {name}")
        return self.git("rev-parse", "HEAD")

    def environment(self, settings):
        environment = {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "HOME": str(self.scratch),
            "TMPDIR": str(self.scratch),
            "PROJECT": "shop",
            "REPOSITORY": f"file://{self.path}",
            "PUBLISH_DIR": str(self.published),
            "AWS_SECRET_ACCESS_KEY": "hush",
        }
        environment.update(settings)
        return {name: value for name, value in environment.items() if value is not None}

    def deploy(self, **settings):
        return run(str(TOP / "contrib/deployer/deploy"), env=self.environment(settings))

    def page(self):
        return (self.published / "shop/index.html").read_text().split()

    def left_behind(self):
        return list(self.scratch.glob("deploy.*"))


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def test_deployer_publishes_the_wanted_ref(project):
    commit = project.git("rev-parse", "HEAD")
    done = project.deploy(REF="main", GANTRY_JOB="job-1", GANTRY_ATTEMPT="2", BUILD_TARGET="production")
    assert done.returncode == 0, done.stderr
    assert project.page() == ["shop", "main", commit, "production"]
    steps = [line for line in done.stdout.splitlines() if line.startswith("deploy: ")]
    assert steps[0] == "deploy: shop at main, job job-1, attempt 2"
    assert [step.split()[1] for step in steps] == ["shop", "cloning", "checked", "building", "built", "publishing", "done"]
    assert "credentials: none" in done.stdout
    assert project.left_behind() == []


def test_deployer_publishes_the_wanted_commit(project):
    old = project.git("rev-parse", "HEAD")
    project.commit("readme", "newer\n")
    assert project.deploy(REF="main", COMMIT=old).returncode == 0
    assert project.page()[2] == old
    assert project.deploy(COMMIT=old[:12]).returncode == 0
    assert project.page()[1] == old


def test_deployer_keeps_the_old_site_when_a_build_fails(project):
    good = project.git("rev-parse", "HEAD")
    assert project.deploy().returncode == 0
    project.commit("build.sh", BUILD_SCRIPT + "exit 7\n")
    done = project.deploy()
    assert done.returncode == 1
    assert "build.sh failed with status 7" in done.stderr
    assert project.page()[1] == good
    assert project.left_behind() == []


def test_deployer_yields_to_a_newer_grant_of_the_lock(project):
    assert project.deploy(GANTRY_JOB="newer", GANTRY_FENCE="12").returncode == 0
    newer = (project.published / "shop").readlink()
    done = project.deploy(GANTRY_JOB="older", GANTRY_FENCE="9")
    assert done.returncode == 3
    assert "fence 12, ours is 9" in done.stderr
    assert (project.published / "shop").readlink() == newer
    assert project.deploy(GANTRY_JOB="newest", GANTRY_FENCE="13").returncode == 0
    history = (project.published / ".releases/shop/history").read_text().splitlines()
    assert [line.split()[1] for line in history] == ["newer", "newest"]


def test_deployer_keeps_three_releases(project):
    for number in range(5):
        assert project.deploy(GANTRY_JOB=f"job-{number}").returncode == 0
    releases = [path.name for path in (project.published / ".releases/shop").iterdir() if path.is_dir()]
    assert sorted(name.split(".")[0] for name in releases) == ["job-2-1", "job-3-1", "job-4-1"]


def test_deployer_stops_when_told_and_publishes_nothing(project):
    started = project.scratch / "started"
    project.commit("build.sh", f"#!/bin/sh\nmkdir public && echo >public/index.html\n: >{started}\nexec sleep 600\n")
    with subprocess.Popen([str(TOP / "contrib/deployer/deploy")], env=project.environment({}), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as deployment:
        deadline = time.monotonic() + 30
        while not started.exists():
            assert deployment.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        deployment.send_signal(signal.SIGTERM)
        output, _ = deployment.communicate(timeout=10)
    assert deployment.returncode == 143
    assert "stopped before it was published" in output
    assert not (project.published / "shop").exists()
    assert project.left_behind() == []


def test_deployer_never_prints_credentials(project):
    done = project.deploy(REPOSITORY="https://robot:s3cret@127.0.0.1:1/shop.git")
    assert done.returncode == 1
    assert "https://***@127.0.0.1:1/shop.git" in done.stdout
    assert "s3cret" not in done.stdout + done.stderr


@pytest.mark.parametrize("settings, complaint", [
    ({"PROJECT": None}, "PROJECT is not set"),
    ({"PROJECT": "../etc"}, "PROJECT may have"),
    ({"PROJECT": "-rf"}, "PROJECT may have"),
    ({"REPOSITORY": None}, "REPOSITORY is not set"),
    ({"REPOSITORY": "--upload-pack=sh"}, "REPOSITORY must not start with -"),
    ({"REF": "--force"}, "REF is no name"),
    ({"REF": "main:other"}, "REF is no name"),
    ({"COMMIT": "HEAD~1"}, "COMMIT is no commit id"),
    ({"PUBLISH_DIR": None}, "neither BUCKET nor PUBLISH_DIR is set"),
    ({"BUCKET": "sites"}, "BUCKET and PUBLISH_DIR are both set"),
    ({"PUBLISH_DIR": "www"}, "PUBLISH_DIR must be an absolute path"),
    ({"BUILD_SCRIPT": "/bin/sh"}, "BUILD_SCRIPT must be a path inside"),
    ({"BUILD_OUTPUT": "a/../../etc"}, "BUILD_OUTPUT must be a path inside"),
    ({"GANTRY_FENCE": "x"}, "GANTRY_FENCE is no number"),
])
def test_deployer_refuses_wrong_settings(project, settings, complaint):
    done = project.deploy(**settings)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert not (project.published / "shop").exists()


def test_deployer_does_not_publish_what_is_outside_the_project(project):
    project.commit("build.sh", "#!/bin/sh\nln -s /etc public\n")
    done = project.deploy()
    assert done.returncode == 1
    assert "leads out of the project" in done.stderr


FAKE_AWS = """#!/bin/sh
echo "$*" >>"$AWS_CALLS"
case "$*" in
*"cp --only-show-errors s3://"*) [ -n "$FENCE" ] && echo "$FENCE" && exit
	echo "fatal error: An error occurred ($AWS_ERROR) when calling the HeadObject operation" >&2; exit 1 ;;
esac
"""


@pytest.fixture
def bucket(project):
    (project.bin / "aws").write_text(FAKE_AWS)
    (project.bin / "aws").chmod(0o755)
    calls = project.scratch / "calls"

    def deploy(**settings):
        calls.write_text("")
        done = project.deploy(PUBLISH_DIR=None, BUCKET="sites", AWS_CALLS=str(calls), **settings)
        return done, [line.split()[1] for line in calls.read_text().splitlines()], calls.read_text()

    return deploy


def test_deployer_uploads_pages_after_what_they_need(bucket):
    done, calls, text = bucket(GANTRY_FENCE="4", FENCE="", AWS_ERROR="404")
    assert done.returncode == 0, done.stderr
    assert calls == ["cp", "cp", "sync", "sync"]
    first, second = text.splitlines()[2:]
    assert "--exclude *.html" in first and "--delete" not in first
    assert "--delete" in second and second.endswith(" s3://sites/shop")


def test_deployer_yields_on_s3_too(bucket):
    done, calls, _ = bucket(GANTRY_FENCE="4", FENCE="5", AWS_ERROR="")
    assert done.returncode == 3
    assert calls == ["cp"]


def test_deployer_does_not_upload_past_a_fence_it_cannot_read(bucket):
    done, calls, _ = bucket(GANTRY_FENCE="4", FENCE="", AWS_ERROR="403")
    assert done.returncode == 1
    assert calls == ["cp"]
    assert "(403)" in done.stderr


# -- installing packages -----------------------------------------------------------------------------


def test_second_run_installs_nothing():
    script = f'. "{TOP}/contrib/lib/packages.sh"; packages_as_root() {{ echo "asked: $*"; return 1; }}; install_packages dpkg coreutils'
    done = run("sh", "-c", script)
    assert (done.returncode, done.stdout) == (0, "")


def test_without_root_and_sudo_the_reason_is_clear(tmp_path):
    for name, text in (("id", "echo 1000"), ("dpkg-query", "exit 1"), ("tr", 'exec /usr/bin/tr "$@"')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    done = run("/bin/sh", "-c", f'. "{TOP}/contrib/lib/packages.sh"; install_packages libev-dev', env={"PATH": str(tmp_path)})
    assert done.returncode == 1
    assert "this needs root: apt-get -qq update" in done.stderr
    assert "install sudo" in done.stderr
