# The main process of every container: it serves the requests on its standard input, one after the other.
#
# A request is a line, `VERB MARK ...`, and some are followed by payloads: pieces, each led by a line with its size, and
# a line `0` at the end. A reply is what was asked for and then a line `MARK ...` on standard output; the mark is random
# and, but for `run`, chosen when nothing of a command is alive any more. What a command prints goes to standard error.
# No command ever has one of these three: its input is /dev/null and its output a pipe.

root=$1
own=$2
# Outside of a container's process namespace, `kill -1` would hit all that the user runs.
[ $$ -lt 200 ] || exit 125
umask 022
exec 3<&0 5>&2 2>/dev/null
mkdir -p "$HOME" /build/bin "$own/out"
mkfifo "$own/pipe"
code=125
# So that what a command prints is passed on as it comes; without it, `head` keeps some kilobytes back.
unbuffered=
! command -v stdbuf >/dev/null || unbuffered='stdbuf -o0'

receive() {
    while read -r size && [ "$size" -gt 0 ]; do
        dd bs="$size" count=1 iflag=fullblock status=none
    done
}

reply() {
    printf '\n%s %s\n' "$mark" "$*"
}

missing() {
    empty=/dev/null
    find "$own/pipe" -printf '%y %m %s %C@ %i\t%P\0' >$empty || printf ' find'
    tar -c --format=gnu --hard-dereference --no-recursion --null --verbatim-files-from -T $empty -f - >$empty || printf ' tar'
    xargs -0 -r rmdir -p --ignore-fail-on-non-empty -- <$empty || printf ' xargs'
    [ "$(printf abc | dd bs=2 count=1 iflag=fullblock status=none)" = ab ] || printf ' dd'
    [ "$(printf abc | head -c 1)" = a ] || printf ' head'
    [ "$(printf abc | tail -c 1)" = c ] || printf ' tail'
    [ -p "$own/pipe" ] || printf ' mkfifo'
}

# What holds in here, as the kernel has it: the host compares it with what it asked for.
facts() {
    while read -r name value; do
        case $name in Uid: | CapEff: | CapPrm: | CapBnd: | NoNewPrivs: | Seccomp:) echo "$name $value" ;; esac
    done </proc/self/status
    for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
        [ -r $file ] && read -r value <$file && echo "Memory: $value"
    done
    for file in /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max; do
        [ -r $file ] && read -r value <$file && echo "Pids: $value"
    done
    while read -r name value; do
        case $name in *:*) echo "Interface: ${name%%:*}" ;; esac
    done </proc/net/dev
}

unpack() {
    : >"$own/error"
    if [ "$first" -gt 0 ]; then
        (cd "$root" && receive | xargs -0 -r rm -f -- >"$own/error" 2>&1) || failed=1
        (cd "$root" && receive | xargs -0 -r rmdir -p --ignore-fail-on-non-empty --)
    fi
    # A failed tar leaves its input unread, and what is left of it is no request.
    receive | {
        tar -x -m -f - -C "$root" >>"$own/error" 2>&1
        status=$?
        cat >/dev/null
        exit $status
    } || failed=1
}

# How many processes the kernel killed for want of memory.
kills() {
    killed=0
    for file in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
        [ -r $file ] || continue
        while read -r name value; do
            [ "$name" = oom_kill ] && killed=$value
        done <$file
    done
}

# Lists in `alive` the processes that are neither known from before the command nor the limiter's own.
survivors() {
    alive=
    for each in /proc/[0-9]*; do
        each=${each#/proc/}
        case $known in *" $each "*) continue ;; esac
        { read -r line <"/proc/$each/stat"; } 2>/dev/null || continue
        line=${line##*) }
        case $line in Z* | X*) continue ;; esac
        line=${line#* }
        [ "${line%% *}" = "$limiter" ] || alive="$alive $each"
    done
}

# Sets `now` to hundredths of seconds.
now() {
    read -r now _ </proc/uptime
    now=${now%.*}${now#*.}
}

# Nothing can fork while all are stopped, so that one pass gets everything.
slay() {
    kill -s STOP -- -1
    survivors
    [ -z "$alive" ] || kill -s KILL $alive
    kill -s CONT -- -1
}

# Ends the command when the host says so, or is gone. Any other request comes from a host that was told of an end that
# is none.
watch() {
    read -r word _ <&3
    case $word in
        stop | '') ;;
        *) kill -s KILL $$ ;;
    esac
    read -r self _ </proc/self/stat
    known="$known$limiter $self "
    slay
}

run() {
    kills
    before=$killed
    known=' '
    for each in /proc/[0-9]*; do
        known="$known${each#/proc/} "
    done
    { $unbuffered head -c "$half" && tail -c "$((half + 1))"; } <"$own/pipe" >&5 3<&- 5>&- &
    limiter=$!
    watch >/dev/null 5>&- &
    watcher=$!
    (exec sh "$own/command") </dev/null >"$own/pipe" 2>&1 3<&- 5>&-
    code=$?
    known="$known$limiter $watcher "
    survivors
    now
    end=$((now + 30))
    # Without a `sleep`: where a command has used up the processes, a shell that has to fork ends.
    while [ -n "$alive" ] && [ "$now" -lt "$end" ]; do
        survivors
        now
    done
    outlived=0
    [ -z "$alive" ] || { outlived=1 && slay; }
    kill -s KILL $watcher
    wait $watcher
    wait $limiter
    kills
    printf %s "$mark" >&5
    reply $code $outlived $((killed - before))
}

while read -r verb mark first second; do
    failed=0
    case $verb in
        probe)
            missing
            reply ok
            ;;
        facts)
            facts
            reply ok
            ;;
        ping) reply ok ;;
        unpack)
            unpack
            head -c 2000 "$own/error"
            reply $failed
            ;;
        list)
            find "$root" -mindepth 1 ! -type d -printf '%y %m %s %C@ %i\t%P\0' || failed=1
            reply $failed
            ;;
        mend)
            find "$root" -mindepth 1 -type d ! -perm -700 -exec chmod u+rwx {} \;
            find "$root" -type f ! -perm -400 -exec chmod u+r {} +
            reply ok
            ;;
        run)
            half=$first
            rm -rf "$own/out"
            mkdir "$own/out"
            receive >"$own/command" && [ -d "$own/out" ] && run || reply failed
            ;;
        pack)
            receive | tar -C "$first" -c --format=gnu --hard-dereference --no-recursion --null --verbatim-files-from \
                -T - -f - | head -c "$second"
            reply ok
            ;;
        leave) exit $code ;;
    esac
done
