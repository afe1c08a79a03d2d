//! Runs one shell command and measures it as a whole: wall time, processor time, peak memory.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions};

/// How often memory is looked at. Linux keeps the high-water mark of each process, so only short processes can be
/// missed, and those that end between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Clock ticks per second in `/proc/<pid>/stat` on Linux (`proc(5)`, `sysconf(_SC_CLK_TCK)` is 100 on all ports).
const TICKS_PER_SECOND: f64 = 100.0;

/// What one execution took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Measured {
    /// Wall time in seconds.
    pub(crate) wall_s: f64,
    /// User and system time of the command and everything it started, in seconds.
    pub(crate) cpu_s: f64,
    /// The database server's processor time meanwhile, in seconds.
    pub(crate) server_cpu_s: f64,
    /// The largest sum of the high-water marks of the command's processes, in bytes.
    pub(crate) peak_memory_bytes: u64,
    /// Bytes that the command's processes took in by read calls, from files and pipes, not from sockets.
    pub(crate) read_bytes: u64,
    /// The bytes that the row compares: what was written, or what was read.
    pub(crate) bytes: u64,
}

impl Measured {
    /// What the same processor time would have taken on all cores of this machine with nothing to wait for.
    pub(crate) fn floor(&self) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.floor_with(u32::try_from(cores).unwrap_or(1))
    }

    fn floor_with(&self, cores: u32) -> Self {
        Self { wall_s: (self.cpu_s + self.server_cpu_s) / f64::from(cores), ..*self }
    }
}

/// Runs `script` with `sh -c` and measures it. `server` is the database server's process.
pub(crate) fn run(
    script: &str,
    environment: &[(String, String)],
    server: Option<u32>,
) -> io::Result<Measured> {
    let server_before = server.map_or(0.0, cpu_of);
    let started = Instant::now();
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    let mut child = command.spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::Other)?;
    let mut peak_memory_bytes = 0;
    loop {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if rustix::process::waitid(WaitId::Pid(pid), options)?.is_some() {
            break;
        }
        peak_memory_bytes = peak_memory_bytes.max(group_memory(child.id()));
        std::thread::sleep(LOOK_EVERY);
    }
    let wall_s = started.elapsed().as_secs_f64();
    // The process has ended but is not yet reaped: its own times and those of its children are final now.
    let cpu_s = cpu_of(child.id());
    let read_bytes = read_bytes_of(child.id());
    let status = child.wait()?;
    if !status.success() {
        return Err(io::Error::other(format!("{script}: {status}")));
    }
    let server_cpu_s = server.map_or(0.0, cpu_of) - server_before;
    Ok(Measured { wall_s, cpu_s, server_cpu_s, peak_memory_bytes, read_bytes, bytes: 0 })
}

/// Fields of `/proc/<pid>/stat` after the name, which may itself hold blanks and brackets.
fn stat_fields(pid: u32) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_whitespace().map(str::to_owned).collect()
}

/// utime + stime + cutime + cstime (fields 14 to 17 of `proc(5)`), in seconds.
fn cpu_of(pid: u32) -> f64 {
    let fields = stat_fields(pid);
    let ticks: u32 = fields.iter().skip(11).take(4).filter_map(|field| field.parse::<u32>().ok()).sum();
    f64::from(ticks) / TICKS_PER_SECOND
}

/// `rchar` of `/proc/<pid>/io` (`proc(5)`): what read calls gave to the process and to its children that ended.
fn read_bytes_of(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("rchar:")).unwrap_or_default();
    line.trim().parse().unwrap_or(0)
}

/// The sum of the high-water marks of all processes in a group, in bytes.
fn group_memory(group: u32) -> u64 {
    let Ok(folder) = fs::read_dir("/proc") else { return 0 };
    let pids = folder.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| stat_fields(*pid).get(2).and_then(|field| field.parse().ok()) == Some(group))
        .map(high_water_mark)
        .sum()
}

fn high_water_mark(pid: u32) -> u64 {
    let text =
        fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_of_children_counts() {
        let script = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done | cat";
        let measured = run(script, &[], None).unwrap();
        assert!(
            measured.cpu_s > 0.0 && measured.wall_s > 0.0 && measured.peak_memory_bytes > 100_000,
            "{measured:?}"
        );
    }

    #[test]
    fn a_failing_command_is_no_measurement() {
        assert!(run("exit 3", &[], None).is_err());
    }

    #[test]
    fn bytes_read_by_children_count() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, vec![7; 3_000_000]).unwrap();
        let environment = [("FILE".to_owned(), file.display().to_string())];
        let measured = run("cat \"$FILE\"", &environment, None).unwrap();
        assert!((3_000_000..3_500_000).contains(&measured.read_bytes), "{measured:?}");
    }

    #[test]
    fn the_floor_is_all_processor_time_on_all_cores() {
        let measured = Measured { cpu_s: 3.0, server_cpu_s: 1.0, wall_s: 9.0, ..Measured::default() };
        assert!((measured.floor_with(2).wall_s - 2.0).abs() < f64::EPSILON);
    }
}
