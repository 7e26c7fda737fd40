"""What every sandbox must do, as functions that a test suite runs over each of them.

A behaviour takes a `Bench` and raises `Broken` if the sandbox does not behave. Its name, with underscores for spaces,
is a sentence; `BEHAVIOURS` has them all.
"""

from collections.abc import Callable
from dataclasses import replace

from sandbox import Command, Delta, Limits, SandboxLost, SandboxUnavailable, Tree
from sandbox.bench import ODD, Bench, Broken, execute, file, fresh, refused, same, true

__all__ = ["BEHAVIOURS"]

MIB = 1024 * 1024


def a_tree_arrives_exactly(bench: Bench) -> None:
    script = "find . ! -type d -printf '%y %m %s %P %l\\0' | LC_ALL=C sort -z; cat bytes; ./'run me.sh'; echo $?"
    listed = sorted(
        b"%b %b %d %b %b\0"
        % (
            b"l" if each.link else b"f",
            b"777" if each.link else b"755" if each.executable else b"644",
            len(each.data or b""),
            each.path.encode(errors="surrogateescape"),
            (each.data or b"") if each.link else b"",
        )
        for each in ODD
    )
    wanted = b"".join(listed) + bytes(range(256)) * 300 + b"ran\n0\n"
    same(fresh(bench, script, ODD).output, wanted)
    same(execute(bench, ODD, script).result.output, wanted)


def output_is_heard_as_it_comes(bench: Bench) -> None:
    warm: list[bytes] = []
    anew: list[bytes] = []
    script, tree = "seq 1 40; sleep 0.2; seq 1001 1040 >&2", bench.tree(())
    with bench.open(Limits()) as sandbox:
        results = (
            sandbox.execute(tree, Command(script=script, hear=warm.append)).result,
            sandbox.execute_fresh(tree, Command(script=script, hear=anew.append)),
        )
    for heard, result in zip((warm, anew), results, strict=True):
        same(b"".join(heard), result.output)
        true(b"1001" not in heard[0], "what is printed later was heard together with what came before")


def an_idle_command_changes_nothing(bench: Bench) -> None:
    tree = bench.tree(ODD)
    with bench.open(Limits()) as sandbox:
        execution = sandbox.execute(tree, Command(script="cat bytes >/dev/null; ls -la"))
    same((execution.tree.id, execution.refused), (tree.id, ()))


def changes_come_back(bench: Bench) -> None:
    files = (file("a", b"1"), file("b/c", b"2"), file("d", b"3"), file("e", b"4"), file("f", b"5"))
    script = (
        "echo new >n/ew 2>/dev/null || { mkdir n && echo new >n/ew; }; printf 9 >a; rm b/c; chmod +x d; mv e g; : >f"
    )
    execution = execute(bench, files, script)
    wanted = (file("a", b"9"), file("d", b"3", executable=True), file("g", b"4"), file("f"), file("n/ew", b"new\n"))
    same(execution.refused, ())
    same(execution.tree.id, bench.tree(wanted).id)


def odd_names_come_back(bench: Bench) -> None:
    script = r"""printf x >"$(printf 'non\377utf8')"; printf y >'a  b'; printf z >-x
        mkdir -p 'q"/$(w)'; printf q >'q"/$(w)/e'"""
    execution = execute(bench, (), script)
    wanted = (file("non\udcffutf8", b"x"), file("a  b", b"y"), file("-x", b"z"), file('q"/$(w)/e', b"q"))
    same((execution.tree.id, execution.refused), (bench.tree(wanted).id, ()))


def a_change_of_the_same_size_and_time_comes_back(bench: Bench) -> None:
    tree = bench.tree((file("a", b"1"), file("b", b"2")))
    with bench.open(Limits()) as sandbox:
        for round_ in range(8):
            script = f"touch -r b stamp; printf {round_} >a; touch -r stamp a; rm stamp"
            tree = sandbox.execute(tree, Command(script=script)).tree
            same(tree.id, bench.tree((file("a", str(round_).encode()), file("b", b"2"))).id)


def only_what_changed_is_sent(bench: Bench) -> None:
    class Watched:
        """Writes down what sandboxes ask of a tree."""

        def __init__(self, inner: Tree) -> None:
            self.inner = inner
            self.asked: list[str | None] = []
            self.id = inner.id
            self.paths, self.select, self.absorb = inner.paths, inner.select, inner.absorb

        def since(self, held: str | None) -> Delta:
            self.asked.append(held)
            return self.inner.since(held)

    first = Watched(bench.tree((file("a", b"1"), file("b/c", b"2"), file("k", b"3"))))
    second = Watched(bench.tree((file("a", b"changed"), file("k", b"3"), file("b", b"a file where a directory was"))))
    with bench.open(Limits()) as sandbox:
        for tree in (first, first, second):
            sandbox.execute(tree, Command(script="true"))
        execution = sandbox.execute(second, Command(script="cat a k b; ls"))
    same((first.asked, second.asked), ([None], [first.id]))
    same(execution.result.output, b"changed3a file where a directory wasa\nb\nk\n")


def a_deleted_file_takes_its_empty_directories_along(bench: Bench) -> None:
    with bench.open(Limits()) as sandbox:
        sandbox.execute(bench.tree((file("p/q/r/one", b"1"), file("p/two", b"2"))), Command(script="true"))
        execution = sandbox.execute(bench.tree((file("p/two", b"2"),)), Command(script="find ."))
    same(sorted(execution.result.output.split()), [b".", b"./p", b"./p/two"])


def what_is_ignored_stays_but_does_not_come_back(bench: Bench) -> None:
    tree = bench.tree((file("a", b"1"),), ("*.o",))
    with bench.open(Limits()) as sandbox:
        execution = sandbox.execute(tree, Command(script="echo object >a.o"))
        same((execution.tree.id, execution.refused), (tree.id, ()))
        other = bench.tree((file("a", b"2"),), ("*.o",))
        same(sandbox.execute(other, Command(script="cat a a.o")).result.output, b"2object\n")
        same(sandbox.execute_fresh(other, Command(script="ls")).output, b"a\n")


def a_refused_change_is_not_there_afterwards(bench: Bench) -> None:
    tree = bench.tree((file("a", b"1"),))
    with bench.open(Limits()) as sandbox:
        script = "mkdir .git; echo x >.git/config; mkfifo pipe; ln -s /etc/passwd passwd; echo fine >b"
        execution = sandbox.execute(tree, Command(script=script))
        same(refused(execution), {".git/config", "pipe", "passwd"})
        same(execution.tree.id, bench.tree((file("a", b"1"), file("b", b"fine\n"))).id)
        after = sandbox.execute(execution.tree, Command(script="find . -mindepth 1 | sort"))
        same(after.result.output, b"./a\n./b\n")


def hostile_files_are_never_opened(bench: Bench) -> None:
    script = r"""ln -sf /etc/passwd a; mkfifo fifo; printf x >"$(printf 'new\nline')"; ln -s / root
        ln -s "$GREENWARD_OUT" out; truncate -s 100M sparse"""
    execution = execute(bench, (file("a", b"1"), file("b", b"2")), script)
    true(refused(execution) >= {"a", "fifo", "new\nline", "root", "out"}, execution.refused)
    kept = {"b"} | ({"a"} & set(execution.tree.paths()))
    same(set(execution.tree.paths()) - {"sparse"}, kept)


def a_very_deep_directory_is_survived(bench: Bench) -> None:
    tree = bench.tree((file("a", b"1"),))
    script = (
        """mkdir -p "$(printf 'd/%.0s' $(seq 5000))" && find . -type d -links 2 -execdir touch d/f ';' && echo done"""
    )
    with bench.open(Limits()) as sandbox:
        execution = sandbox.execute(tree, Command(script=script, timeout=120))
        same(execution.result.output, b"done\n")
        same(execution.tree.id, tree.id)
        true(execution.refused, "a path of 10,000 bytes was taken")
        same(sandbox.execute(tree, Command(script="ls")).result.output, b"a\n")


def too_many_changes_are_refused(bench: Bench) -> None:
    tree = bench.tree((file("a", b"1"),))
    limits = replace(Limits(), changed_files=10, changed_bytes=MIB)
    with bench.open(limits) as sandbox:
        for script in ("for i in 1 2 3 4 5 6 7 8 9 10 11; do echo >f$i; done", "head -c 1100000 /dev/zero >big"):
            execution = sandbox.execute(tree, Command(script=script))
            same((execution.tree.id, refused(execution)), (tree.id, {"."}))
        same(sandbox.execute(tree, Command(script="ls")).result.output, b"a\n")


def closed_directories_do_not_hide_files(bench: Bench) -> None:
    files = (file("d/a", b"1"), file("b", b"2"))
    execution = execute(bench, files, "echo 3 >d/c; chmod 000 d; chmod 000 b; printf 4 >e")
    same(execution.tree.id, bench.tree((*files, file("d/c", b"3\n"), file("e", b"4"))).id)


def exit_codes_are_told(bench: Bench) -> None:
    scripts = {"exit 0": 0, "exit 3": 3, "exit 255": 255, "kill -9 $$": 137, "kill -TERM $$": 143, "nonesuch": 127}
    with bench.open(Limits()) as sandbox:
        for script, code in scripts.items():
            same((script, sandbox.execute(bench.tree(()), Command(script=script)).result.exit_code), (script, code))
            same((script, sandbox.execute_fresh(bench.tree(()), Command(script=script)).exit_code), (script, code))


def output_is_interleaved(bench: Bench) -> None:
    script = "echo 1; echo 2 >&2; echo 3; echo 4 >&2; printf 'no end'"
    same(fresh(bench, script).output, b"1\n2\n3\n4\nno end")
    same(execute(bench, (), script).result.output, b"1\n2\n3\n4\nno end")


def long_output_loses_its_middle(bench: Bench) -> None:
    with bench.open(replace(Limits(), output_bytes=20_000)) as sandbox:
        script = "printf first; head -c 60000000 /dev/zero | tr '\\0' x; printf last"
        for result in (
            sandbox.execute(bench.tree(()), Command(script=script)).result,
            sandbox.execute_fresh(bench.tree(()), Command(script=script)),
        ):
            same((result.truncated, result.output[:6], result.output[-5:]), (True, b"firstx", b"xlast"))
            true(len(result.output) < 20_200, len(result.output))
        exact = sandbox.execute(bench.tree(()), Command(script="head -c 20000 /dev/zero")).result
        same((exact.truncated, exact.output), (False, bytes(20_000)))


def a_timeout_is_a_result_with_the_output_so_far(bench: Bench) -> None:
    tree = bench.tree((file("a", b"1"),))
    command = Command(script="echo begun; printf 2 >a; sleep 600", timeout=1)
    with bench.open(Limits()) as sandbox:
        execution = sandbox.execute(tree, command)
        same((execution.result.timed_out, execution.result.output), (True, b"begun\n"))
        same((execution.result.exit_code, execution.tree.id), (124, tree.id))
        fresh = sandbox.execute_fresh(tree, command)
        same((fresh.timed_out, fresh.output, fresh.exit_code), (True, b"begun\n", 124))
        same(sandbox.execute(tree, Command(script="cat a")).result.output, b"1")


def a_timeout_keeps_the_end_of_long_output(bench: Bench) -> None:
    with bench.open(replace(Limits(), output_bytes=20_000)) as sandbox:
        script = "printf first; head -c 500000 /dev/zero; printf last; sleep 600"
        result = sandbox.execute(bench.tree(()), Command(script=script, timeout=2)).result
    same((result.timed_out, result.truncated, result.output[:5], result.output[-4:]), (True, True, b"first", b"last"))


def nothing_survives_a_timeout(bench: Bench) -> None:
    script = "trap '' TERM HUP INT; (trap '' TERM HUP; sleep 61.7) & (sleep 61.8 & ) ; sleep 61.9"
    with bench.open(Limits()) as sandbox:
        sandbox.execute(bench.tree(()), Command(script=script, timeout=1))
        same(sandbox.execute(bench.tree(()), Command(script=SLEEPERS)).result.output, b"none\n")


SLEEPERS = r"""cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' | grep -ao 'sleep 61[.][0-9]' || echo none"""


def processes_that_leave_their_session_do_not_survive(bench: Bench) -> None:
    script = "setsid sh -c 'trap \"\" TERM; sleep 61.5' & setsid setsid sleep 61.6 & echo left; exit 7"
    with bench.open(Limits()) as sandbox:
        result = sandbox.execute(bench.tree(()), Command(script=script)).result
        same((result.exit_code, result.output, result.outlived), (7, b"left\n", True))
        same(sandbox.execute(bench.tree(()), Command(script=SLEEPERS)).result.output, b"none\n")


def a_process_in_the_background_does_not_hold_the_command(bench: Bench) -> None:
    for result in (
        fresh(bench, "sleep 62 & echo go; exit 4"),
        execute(bench, (), "sleep 62 & echo go; exit 4").result,
    ):
        same((result.exit_code, result.output, result.outlived, result.timed_out), (4, b"go\n", True, False))
        true(result.seconds < 30, result.seconds)


def a_process_that_ends_soon_after_is_waited_for(bench: Bench) -> None:
    result = execute(bench, (), "(sleep 0.03; echo late) & echo early").result
    same((result.output, result.outlived), (b"early\nlate\n", False))


def standard_input_is_empty(bench: Bench) -> None:
    same(fresh(bench, "cat; wc -c; echo end").output.split(), [b"0", b"end"])
    same(execute(bench, (), "cat; wc -c; echo end").result.output.split(), [b"0", b"end"])


def interrupts_are_not_ignored(bench: Bench) -> None:
    same(execute(bench, (), "sh -c 'kill -INT $$; echo not reached'; echo $?").result.output, b"130\n")
    same(fresh(bench, "sh -c 'kill -INT $$; echo not reached'; echo $?").output, b"130\n")


def named_files_are_collected(bench: Bench) -> None:
    command = Command(
        script='cd "$GREENWARD_OUT"; ls; printf 1 >a; mkdir d; printf 2 >d/b; printf 3 >c; mkfifo p; ln -s a l',
        collect=("a", "d/b", "missing", "l", "p"),
    )
    with bench.open(Limits()) as sandbox:
        for _ in range(2):
            result = sandbox.execute(bench.tree(()), command).result
            same((result.output, {**result.files}), (b"", {"a": b"1", "d/b": b"2"}))
        same({**sandbox.execute_fresh(bench.tree(()), command).files}, {"a": b"1", "d/b": b"2"})


def collected_files_are_capped(bench: Bench) -> None:
    script = 'cd "$GREENWARD_OUT"; head -c 700000 /dev/zero >a; head -c 700000 /dev/zero >b; echo c >c'
    with bench.open(replace(Limits(), collected_bytes=MIB)) as sandbox:
        result = sandbox.execute_fresh(bench.tree(()), Command(script=script, collect=("a", "b")))
    same({name: len(data) for name, data in result.files.items()}, {"a": 700_000})


def a_directory_and_variables_are_set(bench: Bench) -> None:
    env = {"PLAIN": "1", "ODD": "a 'b' \"c\" $d `e`\nf\\"}
    command = Command(script='basename "$PWD"; printf %s "$PLAIN$ODD"; cat inner', cwd="sub dir/x", env=env)
    files = (file("sub dir/x/inner", b"!"),)
    wanted = b"x\n1" + env["ODD"].encode() + b"!"
    with bench.open(Limits()) as sandbox:
        same(sandbox.execute(bench.tree(files), command).result.output, wanted)
        same(sandbox.execute_fresh(bench.tree(files), command).output, wanted)
        missing = sandbox.execute(bench.tree(files), Command(script="echo ran", cwd="nowhere")).result
        true(missing.exit_code != 0 and b"ran\n" not in missing.output, missing)


def the_environment_has_nothing_of_the_host(bench: Bench) -> None:
    script = "env; cat /proc/$PPID/environ /proc/1/environ /proc/self/environ 2>/dev/null | tr '\\0' '\\n'"
    for output in (fresh(bench, "env").output, execute(bench, (), "env").result.output):
        true(bench.canary.encode() not in output, output)
        names = {line.partition(b"=")[0] for line in output.splitlines()}
        true(names >= {b"HOME", b"PATH", b"USER", b"GREENWARD_OUT", b"PYTHONDONTWRITEBYTECODE"}, names)
    with bench.open(Limits()) as sandbox:
        if sandbox.isolated:
            true(bench.canary.encode() not in sandbox.execute_fresh(bench.tree(()), Command(script=script)).output, "")


def a_long_script_runs(bench: Bench) -> None:
    same(fresh(bench, "\n".join(["x=1"] * 60_000 + ["echo $x"])).output, b"1\n")


def a_home_and_places_to_write_are_there(bench: Bench) -> None:
    script = """set -e; echo 1 >"$HOME/x"; t=$(mktemp); printf '#!/bin/sh\\necho ran' >"$t"; chmod +x "$t"; "$t" """
    same(fresh(bench, script).output, b"ran\n")


def a_tree_that_does_not_fit_is_an_error_and_the_next_one_works(bench: Bench) -> None:
    with bench.open(Limits()) as sandbox:
        clash = bench.tree((file("a", b"1"), file("a/b", b"2")))
        try:
            sandbox.execute(clash, Command(script="echo ran"))
        except SandboxUnavailable:
            pass
        else:
            raise Broken("half a tree was executed")
        same(sandbox.execute(bench.tree((file("a", b"1"),)), Command(script="cat a")).result.output, b"1")


def a_command_that_kills_all_it_may_loses_the_sandbox(bench: Bench) -> None:
    tree = bench.tree((file("a", b"1"),))
    command = Command(script="kill -9 -1; sleep 5")
    with bench.open(Limits()) as sandbox:
        for run in (sandbox.execute, sandbox.execute_fresh):
            try:
                result = run(tree, command)
            except SandboxLost:
                continue
            raise Broken(f"a dead sandbox gave {result}")
        same(sandbox.execute(tree, Command(script="cat a")).result.output, b"1")


def a_command_beyond_its_memory_is_told_as_such(bench: Bench) -> None:
    limits = replace(Limits(), memory_bytes=96 * MIB, work_bytes=16 * MIB, tmp_bytes=16 * MIB, build_bytes=8 * MIB)
    with bench.open(replace(limits, collected_bytes=MIB)) as sandbox:
        command = Command(script="echo begun; head -c 600000000 /dev/zero | tail -c 500000000 >/dev/null", timeout=60)
        result = sandbox.execute(bench.tree(()), command).result
        same((result.out_of_memory, result.exit_code, result.output[:6]), (True, 137, b"begun\n"))
        result = sandbox.execute_fresh(bench.tree(()), command)
        same((result.out_of_memory, result.exit_code, result.output[:6]), (True, 137, b"begun\n"))


def a_fork_bomb_is_contained(bench: Bench) -> None:
    with bench.open(replace(Limits(), pids=64)) as sandbox:
        command = Command(script="trap '' TERM; bomb() { bomb & bomb & wait; }; bomb 2>/dev/null; sleep 600", timeout=2)
        result = sandbox.execute_fresh(bench.tree(()), command)
        true(result.timed_out or result.outlived or result.exit_code != 0, result)
        sandbox.execute(bench.tree(()), command)
        stray = sandbox.execute(bench.tree(()), Command(script="for i in $(seq 70); do sleep 63 & done; exit 1")).result
        true(stray.outlived and stray.exit_code != 0, stray)
        same(sandbox.execute(bench.tree(()), Command(script="echo alive")).result.output, b"alive\n")


def a_full_disk_does_not_lose_the_result(bench: Bench) -> None:
    limits = replace(Limits(), work_bytes=8 * MIB, tmp_bytes=8 * MIB, build_bytes=8 * MIB, inodes=2000)
    script = """for d in . /tmp /build; do head -c 20000000 /dev/zero >$d/full 2>/dev/null; rm $d/full; done
        i=0; while [ $i -lt 3000 ]; do true >/tmp/$i || break; i=$((i+1)); done 2>/dev/null
        head -c 20000000 /dev/zero >full; echo "$i" | tail -c 5 >"$GREENWARD_OUT/report"; exit 5"""
    with bench.open(limits) as sandbox:
        result = sandbox.execute(bench.tree(()), Command(script=script, collect=("report",))).result
    same(result.exit_code, 5)
    true(0 < int(result.files["report"]) < 2000, result.files)


def there_is_no_network(bench: Bench) -> None:
    script = (
        "cat /proc/net/route; cut -d: -f1 /proc/net/dev | grep -v -e '|' -e lo; ls /var/run/docker.sock 2>/dev/null"
    )
    same(fresh(bench, script).output.splitlines()[1:], [])


def two_sandboxes_do_not_see_each_other(bench: Bench) -> None:
    with bench.open(Limits()) as one, bench.open(Limits()) as other:
        one.execute(bench.tree(()), Command(script="echo secret >/tmp/mark; echo secret >/build/mark", timeout=9))
        seen = other.execute(
            bench.tree(()), Command(script="cat /tmp/mark /build/mark 2>/dev/null; ls /proc | grep -c ^[0-9]")
        )
        true(b"secret" not in seen.result.output, seen.result.output)
        true(int(seen.result.output) < 20, seen.result.output)


def _is_behaviour(value: object) -> bool:
    return callable(value) and getattr(value, "__annotations__", {}) == {"bench": Bench, "return": None}


BEHAVIOURS: tuple[Callable[[Bench], None], ...] = tuple(
    value for value in list(globals().values()) if _is_behaviour(value)
)
