# The main process of every container: it serves the requests on its standard input, one after the other.
#
# A request is a line, `VERB MARK ...`, and some are followed by payloads: pieces, each led by a line with its size, and
# a line `0` at the end. A reply is what was asked for and then a line `MARK ...` on standard output; the mark is random
# and, but for `run`, chosen when nothing of a command is alive any more. What a command prints goes to standard error.
# No command ever has one of these three: its input is /dev/null and its output a pipe.
#
# The way to the host may damage what passes. So a reply says everything twice, repeats the request as it was read, and
# holds the checksums of all payloads that came and went: it is for the host to compare.

root=$1
own=$2
# Outside of a container's process namespace, `kill -1` would hit all that the user runs.
[ $$ -lt 200 ] || exit 125
umask 022
exec 3<&0 5>&2 2>/dev/null
mkdir -p "$HOME" /build/bin "$own/out"
mkfifo "$own/pipe" "$own/kept" "$own/passed" "$own/sums"
[ ! -p "$own/sums" ] || exec 7<>"$own/sums"
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
    printf '\n%s %s = %s = %s\n' "$mark" "$*" "$verb $first $second" "$*"
}

# Begins to take the checksums of files, and of what goes through the pipe `passed`, which is the last of them.
digest() {
    sha1sum "$@" "$own/passed" >&7 3<&- 5>&- &
    digester=$!
}

# Sets `sum` to the next checksum, once there is one.
next_sum() {
    read -r sum _ <&7
}

# Sets `sums` to that many checksums, which are all that are left. Without them nothing can be vouched for any more.
sums() {
    wait "$digester" || exit 125
    sums=
    while [ "$1" -gt 0 ]; do
        next_sum
        sums="$sums $sum"
        set -- $(($1 - 1))
    done
}

missing() {
    empty=/dev/null
    find "$own/pipe" -printf '%y %m %s %C@ %i\t%P\0' -fprintf $empty %P >$empty || printf ' find'
    tar -c --format=gnu --hard-dereference --no-recursion --null --verbatim-files-from -T $empty -f - >$empty || printf ' tar'
    xargs -0 -r rmdir -p --ignore-fail-on-non-empty -- <$empty || printf ' xargs'
    [ "$(printf abc | dd bs=2 count=1 iflag=fullblock status=none)" = ab ] || printf ' dd'
    [ "$(printf abc | head -c 1)" = a ] || printf ' head'
    [ "$(printf abc | tail -c 1)" = c ] || printf ' tail'
    [ "$(printf abc | tee $empty)" = abc ] || printf ' tee'
    case $(printf abc | sha1sum) in a9993e36*9cd0d89d*) ;; *) printf ' sha1sum' ;; esac
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
    receive >"$own/gone"
    receive >"$own/emptied"
    digest "$own/gone" "$own/emptied"
    : >"$own/error"
    if [ -s "$own/gone" ]; then
        (cd "$root" && xargs -0 -r rm -f -- <"$own/gone" >"$own/error" 2>&1) || failed=1
        (cd "$root" && xargs -0 -r rmdir -p --ignore-fail-on-non-empty -- <"$own/emptied")
    fi
    # A failed tar leaves its input unread, and what is left of it is no request.
    receive | tee "$own/passed" | {
        tar -x -m -f - -C "$root" >>"$own/error" 2>&1
        status=$?
        [ $status -eq 0 ] || cat >/dev/null
        exit $status
    } || failed=1
    sums 3
}

# Makes the directory for collected files an empty one, in as few processes as that takes.
clear_out() {
    if [ ! -L "$own/out" ] && [ -d "$own/out" ] && [ -r "$own/out" ] && [ -w "$own/out" ] && [ -x "$own/out" ]; then
        set --
        for each in "$own/out"/* "$own/out"/.[!.]* "$own/out"/..?*; do
            [ ! -e "$each" ] && [ ! -L "$each" ] || set -- "$@" "$each"
        done
        [ $# -gt 0 ] || return
        rm -rf -- "$@" && return
    fi
    rm -rf "$own/out"
    mkdir "$own/out"
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

# Ends the command when the host says so; the reply to `stop` is that of the command. Any other request comes from a host
# that was told of an end that is none, and without one the host is gone: then all ends, for the command may not have
# begun yet, and nobody would end it once it has.
watch() {
    read -r word _ <&3
    [ "$word" = stop ] || kill -s KILL $$
    read -r self _ </proc/self/stat
    known="$known$limiter $teller $digester $self "
    slay
}

run() {
    kills
    before=$killed
    known=' '
    for each in /proc/[0-9]*; do
        known="$known${each#/proc/} "
    done
    digest "$own/command"
    { $unbuffered head -c "$half" && tail -c "$((half + 1))"; } <"$own/pipe" >"$own/kept" 3<&- 5>&- 7>&- &
    limiter=$!
    tee "$own/passed" <"$own/kept" >&5 3<&- 5>&- 7>&- &
    teller=$!
    watch >/dev/null 5>&- 7>&- &
    watcher=$!
    next_sum
    now
    began=$now
    reply started $sum
    (exec sh "$own/command") </dev/null >"$own/pipe" 2>&1 3<&- 5>&- 7>&-
    code=$?
    now
    took=$((now - began))
    end=$((now + 30))
    known="$known$limiter $teller $digester $watcher "
    survivors
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
    wait $teller
    kills
    sums 1
    printf %s "$mark" >&5
    reply $code $outlived $((killed - before)) $took $sums
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
            [ ! -s "$own/error" ] || head -c 2000 "$own/error"
            reply $failed $sums
            ;;
        list)
            digest
            form='%y %m %s %C@ %i\t%P\0'
            find "$root" -mindepth 1 ! -type d -printf "$form" -fprintf "$own/passed" "$form" || failed=1
            sums 1
            reply $failed $sums
            ;;
        mend)
            find "$root" -mindepth 1 -type d ! -perm -700 -exec chmod u+rwx {} \;
            find "$root" -type f ! -perm -400 -exec chmod u+r {} +
            reply ok
            ;;
        run)
            half=$first
            clear_out
            receive >"$own/command" && [ -d "$own/out" ] && run || reply failed
            ;;
        pack)
            receive >"$own/paths"
            digest "$own/paths"
            tar -C "$first" -c --format=gnu --hard-dereference --no-recursion --null --verbatim-files-from \
                -T "$own/paths" -f - | head -c "$second" | tee "$own/passed"
            sums 2
            reply ok $sums
            ;;
        stop) reply idle ;;
        leave) exit $code ;;
    esac
done
