//! These system calls have no safe form in the standard library.

#![expect(
    unsafe_code,
    reason = "prctl between fork and exec, wait4 and clock_gettime have no safe form in std"
)]

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus};
use std::time::Duration;

/// Makes the kernel kill the child when the thread that spawns it ends (prctl(2),
/// PR_SET_PDEATHSIG).
pub(super) fn end_with_this_thread(command: &mut Command) {
    let parent = std::process::id();
    // SAFETY: the closure runs in the forked child and makes two async-signal-safe system calls; it
    // allocates nothing.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong) == -1 {
                return Err(io::Error::last_os_error());
            }
            // A parent that died before the call above sends no signal any more.
            if libc::getppid().cast_unsigned() != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
}

/// Sends SIGKILL to the group that `leader` leads. The caller makes sure that `leader` hasn't been
/// reaped.
pub(super) fn kill_group(leader: u32) {
    // SAFETY: kill touches no memory of ours.
    unsafe { libc::kill(-leader.cast_signed(), libc::SIGKILL) };
}

/// Blocks until the child has ended, and leaves it to be reaped.
pub(super) fn wait_for_exit(pid: u32) {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: `info` is valid for writing a siginfo_t, and isn't read.
    while unsafe {
        libc::waitid(libc::P_PID, pid, info.as_mut_ptr(), libc::WEXITED | libc::WNOWAIT)
    } == -1
        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    {}
}

pub(super) struct Reaped {
    pub(super) status: ExitStatus,
    pub(super) cpu: Duration,
    pub(super) max_rss_kb: u64,
}

/// Reaps a child that has ended.
pub(super) fn reap(pid: u32) -> Reaped {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are valid for writing; an rusage of zeros, as it stays on an error, is
    // a valid one.
    let usage = unsafe {
        libc::wait4(pid.cast_signed(), &raw mut status, 0, usage.as_mut_ptr());
        usage.assume_init()
    };
    Reaped {
        status: ExitStatus::from_raw(status),
        cpu: duration(usage.ru_utime.tv_sec, usage.ru_utime.tv_usec * 1000)
            + duration(usage.ru_stime.tv_sec, usage.ru_stime.tv_usec * 1000),
        max_rss_kb: usage.ru_maxrss.try_into().unwrap_or(0),
    }
}

/// Reads the user and system time of a live process. The process's CPU clock is finer than the
/// ticks of `/proc/<pid>/stat`.
pub(super) fn cpu_time(pid: u32) -> Option<Duration> {
    let mut clock = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both pointers are valid for writing.
    let read = unsafe {
        libc::clock_getcpuclockid(pid.cast_signed(), &raw mut clock) == 0
            && libc::clock_gettime(clock, &raw mut time) == 0
    };
    read.then(|| duration(time.tv_sec, time.tv_nsec))
}

fn duration(seconds: i64, nanoseconds: i64) -> Duration {
    Duration::new(seconds.try_into().unwrap_or(0), nanoseconds.try_into().unwrap_or(0))
}
