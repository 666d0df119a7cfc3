#!/usr/bin/python3
"""Acts as the command line of podman 4.3.1, as far as `worker/src/server/oci.rs` speaks to it.

It writes down what it is told, and answers what the real one answered on Debian 12 with runc (codes, words, JSON). `run`
starts the command on this machine, with nothing around it, with the folders that it should be shown in their places.
"""

import json
import os
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def place(name):
    return os.path.join(HERE, name)


def told(name):
    try:
        with open(place(name)) as file:
            return file.read()
    except FileNotFoundError:
        return None


def fail(words, code=125):
    print("Error: " + words, file=sys.stderr)
    sys.exit(code)


def container(name):
    text = told("containers/" + name)
    return json.loads(text) if text else None


def keep(name, **state):
    usual = {"Status": "created", "Running": False, "OOMKilled": False, "Pid": 0, "ExitCode": 0, "Error": ""}
    with open(place("containers/" + name + ".new"), "w") as file:
        json.dump(usual | state, file)
    os.rename(place("containers/" + name + ".new"), place("containers/" + name))


def info(words):
    if told("down") is not None:
        print(told("info"))
        print(told("down"), file=sys.stderr)
        sys.exit(1)
    print(told("info"))


def image(words):
    if words[-1] not in (told("images") or "").split():
        fail(f"inspecting object: {words[-1]}: image not known")
    print("4fccd47e167c63f362325cd0880a499a5ef744f43f4e0309ca2f1b873cc93784")


def ps(words):
    print("\n".join(sorted(os.listdir(place("containers")))))


def inspect(words):
    state = container(words[-1])
    if state is None:
        fail(f"inspecting object: no such container {words[-1]}")
    print(json.dumps({"Id": "ab" * 32, "State": state}))


def kill(words):
    state = container(words[-1])
    if state is None:
        fail(f'no container with name or ID "{words[-1]}" found: no such container')
    if not state["Running"]:
        fail(f"can only kill running containers. {words[-1]} is in state {state['Status']}: container state improper")
    os.killpg(state["Pid"], signal.SIGKILL)
    print(words[-1])


def rm(words):
    state = container(words[-1])
    if state:
        if state["Running"]:
            os.killpg(state["Pid"], signal.SIGKILL)
        os.remove(place("containers/" + words[-1]))
    print(words[-1])


def run(words):
    flags, mounts, rest = {}, {}, list(words)
    while rest and rest[0].startswith("--"):
        name, _, value = rest.pop(0)[2:].partition("=")
        flags.setdefault(name, []).append(value)
        if name == "mount":
            fields = dict(field.partition("=")[::2] for field in value.split(","))
            mounts[fields["target"]] = fields["source"]
    name, image = flags["name"][0], rest.pop(0)
    if container(name):
        fail(f'creating container storage: the container name "{name}" is already in use')
    if image not in (told("images") or "").split():
        fail(f"{image}: image not known")

    def shown(path):
        for target, source in mounts.items():
            if path == target or path.startswith(target + "/"):
                return source + path[len(target) :]
        return path

    env, file = {"PATH": "/usr/bin:/bin"}, flags["env-file"][0]
    with open(place("variables"), "w") as seen:
        seen.write(f"{os.stat(file).st_mode & 0o777:o}\n" + told(file))
    for line in told(file).split("\n"):
        key, is_set, value = line.lstrip().partition("=")
        if key and not key.startswith("#"):
            # A name alone is taken from this very environment.
            env[key] = shown(value) if is_set else os.environ.get(key, "")
    command = [shown(word) for word in flags["entrypoint"] + rest]
    keep(name)
    try:
        process = subprocess.Popen(command, env=env, cwd=shown(flags["workdir"][0]), start_new_session=True)
    except OSError:
        fail(
            f'runc: runc create failed: unable to start container process: exec: "{command[0]}": stat {command[0]}: no '
            "such file or directory: OCI runtime attempted to invoke a command that was not found",
            127,
        )
    keep(name, Status="running", Running=True, Pid=process.pid)
    code = process.wait()
    code = code if code >= 0 else 128 - code
    keep(name, Status="exited", ExitCode=code, OOMKilled=told("oom") is not None)
    sys.exit(code)


with open(place("calls"), "a") as calls:
    calls.write(json.dumps({"words": sys.argv[1:], "environment": sorted(os.environ)}) + "\n")
{f.__name__: f for f in (info, image, ps, inspect, kill, rm, run)}[sys.argv[1]](sys.argv[2:])
