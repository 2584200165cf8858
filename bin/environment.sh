# Sourced by the wrappers, which set $program and $root: makes a virtual environment from a lock file.
# Needs sh, coreutils and Python 3; nothing that a fresh machine lacks.

say() {
    printf '%s\n' "$*" >&2
}

# One line of cause, one of next step, exit 3: the machine is not ready.
not_ready() {
    say "$program: $1"
    say "  next: $2"
    exit 3
}

# True when the environment $1 was finished from exactly the lock file $2. The stamp is a copy of the lock, so that
# the check costs two reads and no hashing program.
is_current() {
    [ -f "$1/requirements.lock" ] && [ -x "$1/bin/python" ] && [ "$(cat "$2")" = "$(cat "$1/requirements.lock")" ]
}

cache_directory() {
    cache=${XDG_CACHE_HOME:-}
    if [ -z "$cache" ]; then
        home=${HOME:-$(getent passwd "$(id -u)" 2>/dev/null | cut -d: -f6)}
        [ -n "$home" ] || not_ready "this checkout belongs to another user, and neither HOME nor XDG_CACHE_HOME is set" \
            "Name a directory of yours: XDG_CACHE_HOME=DIRECTORY"
        cache=$home/.cache
    fi
    printf '%s/gpu-launcher\n' "$cache"
}

# Sets $environment to a finished environment: NAME $1 in the checkout for the lock file $2, or in the caller's cache
# when the checkout is read-only or somebody else's (root must leave no file in a user's clone).
prepare_environment() {
    environment=$root/$1
    is_current "$environment" "$2" && return
    if [ ! -O "$root" ] || [ ! -w "$root" ]; then
        checksum=$(cksum < "$2")
        environment=$(cache_directory)/venv-${checksum%% *} || exit
        is_current "$environment" "$2" && return
    fi
    shift
    before_making "$@"
    make_environment "$@"
    trap - HUP INT TERM
    exec 9>&-
}

# What a wrapper looks at before anything is downloaded: bin/launcher has something to look at.
before_making() {
    :
}

# Makes $environment from the lock file $1; the caller's arguments follow (looked through for --yes).
make_environment() {
    lock=$1
    shift
    find_python
    "$python" -I -c 'import ensurepip, venv' 2> /dev/null || install_venv_module "$@"
    mkdir -p -- "${environment%/*}" || not_ready "cannot make ${environment%/*}" "Name a directory of yours: XDG_CACHE_HOME=DIRECTORY"
    # The kernel drops the lock when the last holder ends, however it ends: there are no stale locks to guess about.
    exec 9> "$environment.lock"
    "$python" -I -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)' 2> /dev/null || {
        say "waiting for another run that is making $environment"
        "$python" -I -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
    }
    is_current "$environment" "$lock" && return
    child=
    trap 'abandon 129' HUP
    trap 'abandon 130' INT
    trap 'abandon 143' TERM
    started=$(date +%s)
    say "making $environment from ${lock##*/} (first use, or the lock changed)"
    : > "$environment.log"
    install_packages || failed_install
    cp -- "$lock" "$environment/requirements.lock" || failed_install
    rm -f -- "$environment.log"
    say "made it in $(($(date +%s) - started)) s"
}

# An environment of the same interpreter is brought up to date in place: a launcher that is running from it keeps its
# files. One of another interpreter, a half-made one, or one that cannot be updated is made anew.
install_packages() {
    rm -f -- "$environment/requirements.lock"
    if [ "$(readlink -f "$environment/bin/python" 2> /dev/null)" = "$python" ] && pip_install; then
        return
    fi
    rm -rf -- "$environment"
    logged "$python" -I -m venv "$environment" && pip_install
}

pip_install() {
    # PIP_USER: a machine-wide `user = true` is refused inside a virtual environment.
    PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 logged "$environment/bin/python" -I -m pip install --quiet --no-input \
        --no-deps --require-hashes -r "$lock"
}

# Runs a command in the background, because a shell handles a signal only once its foreground command has ended.
logged() {
    # A process group of its own: pip is a child of `python -m venv`, and both must end before their files are removed.
    "$python" -I -c 'import os, sys; os.setpgid(0, 0); os.execv(sys.argv[1], sys.argv[1:])' "$@" < /dev/null >> "$environment.log" 2>&1 &
    child=$!
    wait "$child"
}

abandon() {
    trap '' HUP INT TERM
    [ -z "$child" ] || { kill -s TERM -- "-$child" || kill "$child"; wait "$child"; } 2> /dev/null || :
    # Others of its group may end a moment later.
    rm -rf -- "$environment" 2> /dev/null || sleep 1
    rm -rf -- "$environment" "$environment.log"
    say "interrupted; the unfinished $environment was removed"
    exit "$1"
}

failed_install() {
    rm -rf -- "$environment"
    # pip's last line says only that it found no package; why the index could not be read stands in its warnings.
    reason=$(grep -iE 'certificate|resol|refused|timed out|unreachable|proxy|no space' "$environment.log" | tail -n 1)
    [ -n "$reason" ] || reason=$(grep -i error "$environment.log" | tail -n 1)
    reason=$(printf '%s' "$reason" | cut -c 1-300)
    not_ready "the packages of ${lock##*/} could not be installed: ${reason:-see $environment.log}" \
        "Check pip's index, proxy and certificate settings ($python -m pip config list); all of pip's output: $environment.log"
}

# Sets $python to the real path of a Python >= 3.10. The real path, because a link such as
# python3 would move to another version under the environment, and a version manager's shim costs 0.1 s a start.
find_python() {
    python=
    version=
    for candidate in python3 python3.13 python3.12 python3.11 python3.10; do
        found=$("$candidate" -I -c 'import os, sys; print("%d.%d" % sys.version_info[:2], os.path.realpath(sys.executable))' \
            2> /dev/null) || continue
        version=${version:-${found%% *}}
        case ${found%% *} in
            2.* | 3.[0-9]) continue ;;
        esac
        python=${found#* }
        version=${found%% *}
        break
    done
    [ -n "$version" ] || not_ready "Python 3 was not found on PATH" "Install Python 3.10 or newer"
    [ -n "$python" ] || not_ready "Python $version is too old: 3.10 or newer is needed" "Install a newer python3 and put it first on PATH"
}

# Debian and Ubuntu keep the venv module's other half, ensurepip, in a package of its own.
install_venv_module() {
    cause="Python $version at $python cannot make virtual environments (no ensurepip module)"
    command -v apt-get > /dev/null || not_ready "$cause" "Install the venv package of this Python"
    [ "$(id -u)" = 0 ] || not_ready "$cause" "sudo apt-get install python3-venv"
    for argument in "$@"; do
        case $argument in
            --yes | -y) consent=yes ;;
            --) break ;;
        esac
    done
    [ "${consent:-}" = yes ] || not_ready "$cause" "apt-get install python3-venv (or run this again with --yes)"
    say "installing python3-venv"
    export DEBIAN_FRONTEND=noninteractive
    output=$({ apt-get update -q && apt-get install -y -q --no-install-recommends python3-venv; } < /dev/null 2>&1) || {
        say "$output"
        not_ready "apt-get could not install python3-venv" "Correct what the lines above say, then run this again"
    }
    "$python" -I -c 'import ensurepip, venv' 2> /dev/null ||
        not_ready "$cause, also after installing python3-venv" "Put the distribution's own python3 (/usr/bin) first on PATH"
}
