//! A folder of a test's own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Ended, Run, pictures, stylefleet};

/// What every run of a test is told unless the test says otherwise: small and quick.
const QUICK: [&str; 4] = ["--threads", "1", "--device", "cpu"];

/// A temporary folder, in which commands run.
#[derive(Debug)]
pub struct Scene {
    folder: TempDir,
}

impl Default for Scene {
    fn default() -> Self {
        Self::new()
    }
}

impl Scene {
    /// An empty folder.
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    /// A folder with a content of 32 x 24 pixels, `boat.png`, and a style, `wave.png`.
    pub fn with_pictures() -> Self {
        let scene = Self::new();
        scene.add_content("boat.png", 1);
        scene.add_style("wave.png", 1);
        scene
    }

    /// Adds a content.
    pub fn add_content(&self, name: &str, seed: u32) {
        let picture = pictures::content(32, 24, seed);
        picture.save(self.path(name)).expect("saves a picture");
    }

    /// Adds so many photographs, in `photos`.
    pub fn add_photographs(&self, count: u32) {
        std::fs::create_dir_all(self.path("photos")).expect("makes a folder");
        for seed in 0..count {
            let photograph = pictures::content(40 + seed % 3, 40, seed);
            let file = self.path(format!("photos/{seed:02}.png"));
            photograph.save(file).expect("saves a picture");
        }
    }

    /// Adds a style.
    pub fn add_style(&self, name: &str, seed: u32) {
        let picture = pictures::style(32, 32, seed);
        picture.save(self.path(name)).expect("saves a picture");
    }

    /// Adds a clip of five frames of 48 x 32 pixels, of uneven lengths, with sound and subtitles.
    pub fn add_clip(&self, name: &str) {
        self.write("words.srt", "1\n00:00:00,100 --> 00:00:00,500\nA boat.\n\n");
        self.ffmpeg(&format!(
            "-f lavfi -i testsrc2=size=48x32:rate=10:duration=0.5 -f lavfi -i \
             sine=frequency=440:duration=0.6 -i words.srt -map 0 -map 1 -map 2 -vf \
             settb=1/1000,setpts=100*N+30*mod(N\\,2) -fps_mode passthrough -enc_time_base 1:1000 \
             -c:v ffv1 -c:a flac -c:s srt {name}"
        ));
    }

    /// Runs ffmpeg with these arguments, parted by blanks.
    pub fn ffmpeg(&self, args: &str) {
        let mut command = self.command("ffmpeg");
        command.args(["-nostdin", "-loglevel", "error", "-y"]);
        command.args(args.split_whitespace());
        Run::start(command).end().expect_code(0);
    }

    /// What ffprobe says of a file: its streams, its format, and when each packet is shown.
    pub fn probe(&self, file: &str) -> Value {
        let mut command = self.command("ffprobe");
        let shown = "format=duration:packet=pts_time,stream_index";
        command.args(["-v", "error", "-show_streams", "-show_entries", shown]);
        command.args(["-of", "json", file]);
        let ended = Run::start(command).end().expect_code(0);
        serde_json::from_str(&ended.stdout.concat()).expect("JSON")
    }

    /// Adds a file.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).expect("writes a file");
    }

    /// The path of a name in this folder.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The bytes of a file.
    pub fn read(&self, name: impl AsRef<Path>) -> Vec<u8> {
        let path = self.path(name);
        std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// A JSON file's content.
    pub fn json(&self, name: impl AsRef<Path>) -> Value {
        serde_json::from_slice(&self.read(name)).expect("JSON")
    }

    /// The names of the files in a folder, but for hidden ones, in order.
    pub fn files(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).expect("lists a folder");
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            let name = entry.expect("an entry").file_name();
            name.into_string().expect("a plain name")
        };
        let mut names: Vec<_> = entries.map(name).filter(|n| !n.starts_with('.')).collect();
        names.sort();
        names
    }

    /// A program to be run in this folder, with nothing of ours in its environment but where the
    /// weights are.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            let kept = ["STYLEFLEET_WEIGHTS", "STYLEFLEET_CACHE"].contains(&&*name);
            if name.starts_with("STYLEFLEET_") && !kept || name == "LD_LIBRARY_PATH" {
                command.env_remove(&*name);
            }
        }
        // Where whoever runs the tests has settings of their own.
        command.env("XDG_CONFIG_HOME", self.path(".config"));
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// `stylefleet run`, small and quick unless `args` say otherwise, which may be several in one
    /// text, parted by blanks.
    pub fn run_command(&self, args: &[&str]) -> Command {
        let mut command = self.local_command("run", args);
        if !args.iter().any(|arg| arg.contains("--scales")) {
            command.args(["--scales", "1"]);
        }
        command
    }

    /// The same of another command that works on this machine.
    pub fn local_command(&self, name: &str, args: &[&str]) -> Command {
        let mut command = self.command(stylefleet());
        let args: Vec<_> = args.iter().flat_map(|arg| arg.split(' ')).collect();
        command.arg(name).args(&args);
        for option in QUICK.chunks(2).filter(|option| !args.contains(&option[0])) {
            command.args(option);
        }
        command
    }

    /// Starts [`Self::run_command`] with `--json`. A checkpoint is kept after every iteration.
    pub fn start(&self, args: &[&str]) -> Run {
        let mut command = self.run_command(args);
        command
            .arg("--json")
            .env("STYLEFLEET_CHECKPOINT_SECONDS", "0");
        Run::start(command)
    }

    /// Runs [`Self::run_command`] to its end.
    pub fn run(&self, args: &[&str]) -> Ended {
        Run::start(self.run_command(args)).end()
    }

    /// Runs [`Self::run_command`] with `--json` to its end.
    pub fn run_json(&self, args: &[&str]) -> Ended {
        let mut command = self.run_command(args);
        command.arg("--json");
        Run::start(command).end()
    }
}
