"""The store in a real Redis: its contract (store_contract.h), and what it does when Redis fails it.

Needs build/live/test_store, made from tests/live/test_store.c.
"""
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from conftest import ROOT, eventually

PROGRAM = ROOT / "build" / "live" / "test_store"
KEY = "modelwatch:{ml.events-0}:ingest"                     # of the fold that `drive` works on

# What the services' user needs; modelwatch init needs function|load besides.
RIGHTS = ("+fcall +fcall_ro +hget +hmget +hgetall +hset +hdel +xadd +xtrim +xrange +xdel +xinfo|stream +type +expire "
          "+sadd +smembers +role +info").split()


class Redis:
    """A Redis of this test's own, which it may break."""

    def __init__(self, directory):
        self.socket = directory / "redis.sock"
        self._command = ["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", directory,
                         "--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        self._log = open(directory / "log", "ab")
        self.start()

    def start(self):
        self.process = subprocess.Popen(self._command, stdout=self._log, stderr=self._log)
        eventually(lambda: self.cli("ping", check=False) == "PONG", what="Redis answers")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def cli(self, *words, check=True):
        done = subprocess.run(["redis-cli", "-e", "-s", self.socket, *map(str, words)], check=check,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return done.stdout.rstrip("\n")

    def picture(self):
        """Everything that is stored, to see whether anything has changed."""
        return self.cli("eval", "local all = {} for i, key in ipairs(redis.call('keys', '*')) do "
                                "all[i] = key .. ' ' .. redis.sha1hex(redis.call('dump', key)) end "
                                "table.sort(all) return all", 0)


class Drive:
    """A process with a store, that does what it is told: ask("put state a 1"), ask("advance")."""

    def __init__(self, *settings):
        self.process = subprocess.Popen([PROGRAM, "drive", *settings], text=True, bufsize=1,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        answer = self.process.stdout.readline()
        assert answer, f"the program ended at {line!r}"
        return answer.rstrip("\n")

    def do(self, *lines):
        for line in lines:
            answer = self.ask(line)
            assert answer.startswith("ok: "), f"{line}: {answer}"
        return answer.removeprefix("ok: ")

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(10) == 0                   # a sanitizer would say something else


@pytest.fixture
def redis(tmp_path_factory):
    started = Redis(tmp_path_factory.mktemp("r"))           # short: it is a socket's path
    yield started
    started.process.send_signal(signal.SIGCONT)
    started.kill()


@pytest.fixture
def drive(redis):
    """Starts a Drive on that Redis; the first one finds it installed."""
    started = []

    def start(*settings):
        started.append(Drive(*(settings or [f"unix={redis.socket}"])))
        return started[-1]

    start().do("install")
    yield start
    for each in started:
        each.close()


def after_a_second(drive, line):
    """Connections are tried at most once a second."""
    time.sleep(1.05)
    return drive.ask(line)


# ---- the contract

def check_contract(*settings):
    done = subprocess.run([PROGRAM, "contract", *settings], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


def test_store_in_redis_keeps_the_contract(redis, drive):
    check_contract(f"unix={redis.socket}")


def test_store_needs_only_these_rights(redis, drive):
    redis.cli("acl", "setuser", "services", "on", ">secret", "~modelwatch:*", "-@all", *RIGHTS)
    check_contract(f"unix={redis.socket}", "user=services", "password=secret")


def test_store_over_tls_keeps_the_contract(servers_tls):
    settings = tls_settings(servers_tls)
    init = Drive(*settings)
    init.do("install")
    init.close()
    check_contract(*settings)


# ---- steps that Redis refuses: nothing of them is stored

def test_key_of_a_wrong_type_refuses_the_whole_step(redis, drive):
    d = drive()
    d.do("load", "put state a 1", "append ticks 1 one", "emit findings k v", "advance")
    epoch = d.do("epoch")
    redis.cli("set", f"{KEY}:{epoch}:later", "no hash")
    before = redis.picture()
    d.do("put state a 2", "append ticks 2 two", "emit findings k w", "put later b 1")
    answer = d.ask("advance")
    assert answer.startswith("fatal: ") and f"{KEY}:{epoch}:later: it is a string, expected a hash" in answer
    assert redis.picture() == before

    redis.cli("del", f"{KEY}:{epoch}:outbox")
    redis.cli("set", f"{KEY}:{epoch}:outbox", "no stream")
    before = redis.picture()
    d.do("put state a 2", "emit findings k w")
    assert "expected a stream" in d.ask("advance")
    assert redis.picture() == before
    d.do("put state a 2", "advance")                        # without outputs it does not matter


def test_missing_right_refuses_the_whole_step(redis, drive):
    redis.cli("acl", "setuser", "services", "on", ">secret", "~modelwatch:*", "-@all", *RIGHTS, "-xtrim", "-expire")
    d = drive(f"unix={redis.socket}", "user=services", "password=secret")
    d.do("load", "put state a 1", "advance")
    before = redis.picture()
    d.do("put state a 2", "put_for windows:1 b 60")
    answer = d.ask("advance")
    assert answer.startswith("fatal: ") and "the ACL does not allow EXPIRE" in answer
    assert redis.picture() == before


def test_full_redis_is_unwell_and_stores_nothing_in_part(redis, drive):
    d = drive()
    d.do("load", "put state a 1", "advance")
    before = redis.picture()
    redis.cli("config", "set", "maxmemory", "1mb")
    d.do("put state a 2", "append ticks 1 -100000", "emit findings k v")
    answer = d.ask("advance")
    assert answer.startswith("retry: ") and "OOM" in answer and "maxmemory" in answer
    assert d.ask("load") == "ok: a=1;"                      # it can still be read
    redis.cli("config", "set", "maxmemory", "0")
    assert redis.picture() == before
    d.do("put state a 2", "advance")


def test_malformed_call_of_the_function_stores_nothing(redis, drive):
    d = drive()
    d.do("load", "put state a 1", "advance")
    epoch = d.do("epoch")
    token = redis.cli("hget", f"{KEY}:head", "token")
    before = redis.picture()

    def call(*words, next_token="n" * 32):
        keys = [f"{KEY}:head", f"{KEY}:{epoch}:outbox", f"{KEY}:{epoch}:state"]
        return redis.cli("fcall", "modelwatch_advance", len(keys), *keys, token, next_token, epoch, *words)

    good = ["put", 1, 2, "a", "2"]
    for words in ([1, "topic", "key"], [-1, *good], [0.5, *good], ["x", *good],
                  [0, *good, "put", 1, 3, "a", "b", "c"], [0, *good, "put", 1, 4, "a", "b"], [0, *good, "put", 1, 0],
                  [0, *good, "put", 2, 2, "a", "b"], [0, *good, "put", 0, 2, "a", "b"], [0, *good, "put", "x", 1, "a"],
                  [0, *good, "put"], [0, *good, "change", 1, 1, "a"],
                  [0, *good, "expire", 1, 1, "0"], [0, *good, "expire", 1, 1, "1e3"], [0, *good, "expire", 1, 1, "-5"]):
        assert call(*words).startswith("REFUSED"), words
        assert redis.picture() == before, words
    assert call(0, *good) == "OK"
    assert call(0, *good) == "ALREADY"
    assert call(0, *good, next_token="m" * 32) == "STALE"
    assert redis.cli("hget", f"{KEY}:{epoch}:state", "a") == "2"


# ---- Redis dies, or loses data

def test_step_after_a_kill_is_refused_and_the_state_is_found_again(redis, drive):
    d = drive()
    d.do("load", "put state a 1", "advance")
    redis.kill()
    d.do("put state a 2")
    answer = d.ask("advance")
    assert answer.startswith("reject: ") and "may or may not have happened" in answer
    assert after_a_second(d, "load").startswith("retry: ")
    redis.start()
    assert after_a_second(d, "load") == "ok: a=1;"
    d.do("put state a 2", "advance", "load")


def test_silent_redis_is_left_after_ten_seconds(redis, drive):
    d = drive()
    d.do("load", "put state a 1", "advance", "put state a 2")
    redis.process.send_signal(signal.SIGSTOP)
    start = time.monotonic()
    answer = d.ask("advance")
    assert answer.startswith("reject: ") and "no answer in time" in answer
    assert 9 < time.monotonic() - start < 12
    redis.process.send_signal(signal.SIGCONT)
    # The step was on its way and happened after all: a load tells.
    eventually(lambda: redis.cli("hget", f"{KEY}:{d.do('epoch')}:state", "a") == "2", what="the step is stored")
    d.do("put state a 3")
    assert after_a_second(d, "advance").startswith("reject: ")          # another token is stored
    assert d.do("load") == "a=2;"


def test_emptied_redis_starts_anew_under_another_epoch(redis, drive):
    d = drive()
    d.do("load", "put state a 1", "advance")
    epoch = d.do("epoch")
    redis.cli("flushall")
    d.do("put state a 2")
    assert d.ask("advance").startswith("reject: ")
    assert redis.cli("keys", "*") == ""
    assert d.do("load") == ""
    assert d.do("epoch").endswith(" fresh") and epoch not in d.do("epoch")
    assert redis.cli("smembers", "modelwatch:folds") == "ingest/ml.events-0"


def test_zombie_is_refused(redis, drive):
    zombie, owner = drive(), drive()
    zombie.do("load", "put state a 1", "advance")
    assert owner.do("load") == "a=1;"
    owner.do("put state a 2", "advance")
    zombie.do("put state a 3")
    answer = zombie.ask("advance")
    assert answer.startswith("reject: ") and "another process moved it on" in answer
    assert owner.do("load") == "a=2;"


def test_load_is_one_picture_while_another_process_writes(redis, drive):
    writer, reader = drive(), drive()
    writer.do("load")
    seen = set()
    for i in range(300):                                    # both fields always change together
        writer.do(f"put state a {i}", f"put state b {i}")
        writer.process.stdin.write("advance\n")
        state = reader.do("load")
        assert writer.process.stdout.readline().startswith("ok: ")
        a, b = (part.split("=")[1] for part in state.rstrip(";").split(";")) if state else ("", "")
        assert a == b, state
        seen.add(int(a or -1) - i)
    assert seen <= {-1, 0}


def test_tables_die_their_time_after_their_last_write(redis, drive):
    d = drive()
    d.do("load", "put_for windows:1 a 1000", "put state a 1", "advance")
    epoch = d.do("epoch")
    assert 990 < int(redis.cli("ttl", f"{KEY}:{epoch}:windows:1")) <= 1000
    for lasting in (f"{KEY}:{epoch}:state", f"{KEY}:head"):
        assert redis.cli("ttl", lasting) == "-1"
    d.do("put_for windows:1 b 2000", "advance")
    assert int(redis.cli("ttl", f"{KEY}:{epoch}:windows:1")) > 1990


# ---- a Redis that is not fit for us

def test_missing_function_says_what_to_do(redis, drive):
    redis.cli("function", "delete", "modelwatch")
    d = drive()
    answer = d.ask("load")
    assert answer.startswith("fatal: ") and "run modelwatch init" in answer and str(redis.socket) in answer
    assert after_a_second(d, "install") == "ok: "
    d.do("load")


def test_function_of_another_release_says_what_to_do(redis, drive):
    redis.cli("function", "load", "replace", "#!lua name=modelwatch\nredis.register_function{function_name="
              "'modelwatch_version', callback=function() return '0' end, flags={'no-writes'}}")
    answer = drive().ask("load")
    assert answer.startswith("fatal: ") and "version 0" in answer and "modelwatch init" in answer


def test_eviction_is_refused_by_name(redis, drive):
    redis.cli("config", "set", "maxmemory-policy", "allkeys-lru")
    for command in ("load", "install"):
        answer = drive().ask(command)
        assert answer.startswith("fatal: ") and "maxmemory-policy is allkeys-lru" in answer


def test_replica_is_not_written_to(redis, drive):
    d = drive()
    redis.cli("replicaof", "127.0.0.1", "1")
    answer = d.ask("load")
    assert answer.startswith("retry: ") and "its role is slave" in answer


def test_connections_are_tried_once_a_second(redis, drive):
    d = drive()
    d.do("load")
    redis.kill()
    start = time.monotonic()
    while time.monotonic() - start < 0.5:                   # the first notices it, the others repeat the reason
        answer = d.ask("load")
        assert answer.startswith("retry: redis at unix:"), answer
    redis.start()
    eventually(lambda: d.ask("load") == "ok: ", what="a load succeeds")


def test_missing_socket_is_tried_again_and_forbidden_one_is_not(drive, tmp_path):
    assert drive(f"unix={tmp_path}/none").ask("load").startswith(f"retry: redis at unix:{tmp_path}/none: ")
    assert drive(f"unix=/tmp/{'x' * 110}").ask("load").startswith("fatal: ")
    assert drive("host=127.0.0.1", "port=1").ask("load").startswith("retry: redis at 127.0.0.1:1: Connection refused")
    assert drive("host=nowhere.invalid", "port=1").ask("load").startswith("retry: redis at nowhere.invalid:1: ")


# ---- who we are, and who Redis is

def test_wrong_password_says_what_to_do(redis, drive):
    redis.cli("acl", "setuser", "services", "on", ">secret", "~modelwatch:*", "-@all", *RIGHTS)
    where = f"unix={redis.socket}"
    for settings in (["user=services", "password=sesame"], ["user=nobody", "password=secret"]):
        answer = drive(where, *settings).ask("load")
        assert answer.startswith("fatal: ") and "WRONGPASS" in answer and "password_file" in answer
        assert "sesame" not in answer and "secret" not in answer
    assert "remove password_file" in drive(where, "password=secret").ask("load")
    redis.cli("config", "set", "requirepass", "other")
    answer = drive(where).ask("load")
    assert answer.startswith("fatal: ") and "NOAUTH" in answer and "password_file" in answer
    drive(where, "password=other").do("load")


def tls_settings(servers, **changes):
    host, port = servers.env["REDIS_TLS_URL"].removeprefix("rediss://").split(":")
    settings = {"tls": "yes", "host": host, "port": port, "ca": servers.env["REDIS_CA_FILE"],
                "user": servers.env["REDIS_USER"],
                "password": Path(servers.env["REDIS_PASSWORD_FILE"]).read_text().strip(), **changes}
    return [f"{name}={value}" for name, value in settings.items()]


@pytest.mark.parametrize("changes, expected", [
    ({"ca": "WRONG_CA_FILE"}, ["certificate is not believed", "set ca"]),
    ({"ca": ""}, ["certificate is not believed"]),          # the system does not know our authority
    ({"ca": "/nonexistent"}, ["ca /nonexistent"]),
    ({"host": "127.1"}, ["not made out to 127.1"]),         # a name to TLS, 127.0.0.1 to the resolver
    ({"password": "wrong"}, ["WRONGPASS", "password_file"]),
    ({"tls": ""}, []),
])
def test_tls_is_believed_only_with_the_right_names(servers_tls, changes, expected):
    changes = {name: servers_tls.env.get(value, value) for name, value in changes.items()}
    d = Drive(*tls_settings(servers_tls, **changes))
    answer = d.ask("load")
    d.close()
    assert answer.startswith("fatal: " if expected else "retry: "), answer
    for part in expected:
        assert part in answer
    right = Drive(*tls_settings(servers_tls, host="localhost"))
    right.do("install", "load")
    right.close()


def test_plain_redis_does_not_speak_tls(tmp_path):
    with open(tmp_path / "log", "wb") as log, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        process = subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                                    "--dir", tmp_path], stdout=log, stderr=log)
    try:
        plain, tls = Drive("host=127.0.0.1", f"port={port}"), Drive("tls=yes", "host=127.0.0.1", f"port={port}")
        eventually(lambda: plain.ask("install") == "ok: ", what="Redis answers")
        answer = tls.ask("load")
        assert answer.startswith("retry: ") and "is this its TLS port?" in answer
        check_contract("host=127.0.0.1", f"port={port}")    # and TCP works
        plain.close()
        tls.close()
    finally:
        process.kill()
        process.wait()
