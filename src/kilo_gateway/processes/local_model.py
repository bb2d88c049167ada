"""The local model: llama.cpp with its own HTTP server, on a Unix socket that only this gateway can reach."""

import os
import select
import sys

from kilo_gateway.processes.log import Log
from kilo_gateway.processes.node import Node
from kilo_gateway.upstreams import demo
from kilo_gateway.upstreams.demo import local_id

# ChatML without the model's own default system prompt: with that it cannot name France's capital, without it can.
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def run(node: Node) -> None:
    """Does not return: ends with the supervisor, or by its signal, which is left to the kernel."""
    local, log = node.settings.local, Log("local-model", file=os.dup(2))
    if local.is_demo_model and not demo.has_file(local):
        _fetch(node, log)
    try:
        _silence(node)
        server = _serve(node)
    except Exception as error:  # whatever a foreign library raises: it is said where it is read, and tried again
        log("local_model.failed", reason=f"{type(error).__name__}: {error}", log=str(node.files.local_log))
        node.local_trouble.write("it cannot be loaded")
        if local.is_demo_model and not demo.is_whole(local.path):
            local.path.unlink(missing_ok=True)  # fetched again by the next one
        os._exit(1)
    node.local_trouble.write("")
    node.tell("local-model")
    select.select([node.life], [], [])  # nothing is ever written: this waits until the supervisor is gone
    del server
    os._exit(0)


def _fetch(node: Node, log: Log) -> None:
    """Or ends, and says so: the gateway runs without it."""
    try:
        demo.fetch(node.settings.local.path, lambda line: log("local_model.fetching", note=line))
    except demo.FetchError as error:
        log("local_model.missing", reason=str(error))
        node.local_trouble.write("it cannot be fetched")
        node.tell(f"no-local-model {error}".replace("\n", " "))
        os._exit(0)


def _serve(node: Node) -> object:
    """Threads more than one make it slower on small machines."""
    import xllamacpp

    local = node.settings.local
    node.files.local_socket.unlink(missing_ok=True)
    params = xllamacpp.CommonParams()
    params.model.path = str(local.path)
    params.model_alias = {local_id(local)}
    params.hostnames = [str(node.files.local_socket)]
    params.api_keys = [node.keyring.local_model_key]
    params.n_ctx = local.context
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.n_threads_http = 4
    params.use_jinja = True
    params.ui = False
    if local.is_demo_model:
        params.chat_template = CHAT_TEMPLATE
    os.umask(0o177)
    return xllamacpp.Server(params)


def _silence(node: Node) -> None:
    """llama.cpp talks on both outputs; into a file with it."""
    file = os.open(node.files.local_log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(file, sys.stdout.fileno())
    os.dup2(file, sys.stderr.fileno())
    os.close(file)
