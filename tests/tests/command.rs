//! The habits of a good command: version, colours, settings in a file, hints, completions, little
//! memory.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use stylefleet_tests::services::root;
use stylefleet_tests::{Ended, Run, Scene, stylefleet, worker};

/// What colours begin with.
const COLOUR: char = '\u{1b}';

fn run(scene: &Scene, args: &str, environment: &[(&str, &str)]) -> Ended {
    let mut command = scene.command(stylefleet());
    command
        .args(args.split(' '))
        .envs(environment.iter().copied());
    Run::start(command).end()
}

#[test]
fn versions_say_the_commit_and_the_contract() {
    let scene = Scene::new();
    for program in [stylefleet(), worker()] {
        let name = program.file_name().expect("has one").to_string_lossy();
        let mut command = scene.command(&program);
        command.arg("--version");
        let ended = Run::start(command).end().expect_code(0);
        let version = ended.stdout.concat();
        let said = version.strip_prefix(&*name).expect("says its name");
        assert!(said.ends_with("contract 2)"), "{version}");
        // Sources that were unpacked, and not cloned, know no commit.
        if let Some((_, commit)) = said.split_once("(commit ") {
            let commit = commit.split(',').next().unwrap_or_default();
            let mut git = Command::new("git");
            git.current_dir(root()).args(["cat-file", "-e", commit]);
            assert!(git.status().expect("git runs").success(), "{version}");
        } else {
            assert!(!root().join(".git").exists(), "{version}");
        }
    }
}

#[test]
fn colours_are_for_terminals_and_for_those_who_want_them() {
    let scene = Scene::new();
    let is_coloured = |args: &str, environment: &[(&str, &str)]| {
        let ended = run(&scene, args, environment);
        let said = [ended.stdout, ended.stderr].concat().concat();
        assert!(!said.is_empty());
        said.contains(COLOUR)
    };
    let log = [("STYLEFLEET_LOG", "debug")];
    for args in ["--help", "status --jbos", "status"] {
        let always = format!("--color always {args}");
        assert!(!is_coloured(args, &log), "{args}");
        assert!(is_coloured(&always, &log), "{args}");
    }
    // A terminal, by script(1).
    let on_terminal = |environment: &[(&str, &str)], args: &str| {
        let mut command = scene.command("script");
        let call = format!("{} {args}", stylefleet().display());
        command.args(["-qec", &call, "/dev/null"]);
        command.env("TERM", "xterm").env_remove("NO_COLOR");
        command.envs(environment.iter().copied());
        Run::start(command).end().stdout.concat().contains(COLOUR)
    };
    assert!(on_terminal(&[], "--help"));
    assert!(!on_terminal(&[("NO_COLOR", "1")], "--help"));
    assert!(!on_terminal(&[], "--color never --help"));
}

#[test]
fn settings_come_from_a_file_that_init_writes() {
    let scene = Scene::with_pictures();
    scene
        .run(&["boat.png --style wave.png --size 16 --evaluations 1"])
        .expect_code(0);
    let home = [("XDG_CONFIG_HOME", "config")];
    let written = run(&scene, "init", &home).expect_code(0);
    let file = "config/stylefleet/config.toml";
    assert_eq!(written.stdout, [file]);
    let permissions = scene.path(file).metadata().expect("is there").permissions();
    assert_eq!(permissions.mode() & 0o777, 0o600);
    run(&scene, "init", &home)
        .expect_code(1)
        .expect_complaint(&[file, "stays as it is"]);

    let template = String::from_utf8(scene.read(file)).expect("is text");
    let refused = run(&scene, "status", &home).expect_code(2);
    refused.expect_complaint(&["no store is named"]);
    let filled = template.replace(
        "#store = \"s3://bucket/prefix\"",
        "store = \"out/.stylefleet\"",
    );
    assert_ne!(filled, template);
    scene.write(file, &filled);
    assert_eq!(run(&scene, "status", &home).expect_code(0).stdout.len(), 1);
    // The environment takes precedence.
    let elsewhere = [home[0], ("STYLEFLEET_STORE", "elsewhere")];
    assert_eq!(
        run(&scene, "status", &elsewhere)
            .expect_code(0)
            .stdout
            .len(),
        0
    );

    scene.write("other.toml", "stor = 'out/.stylefleet'");
    let refused = run(&scene, "status", &[("STYLEFLEET_CONFIG", "other.toml")]).expect_code(2);
    refused.expect_complaint(&["other.toml", "no setting stor", "did you mean store?"]);
}

#[test]
fn a_wrong_word_is_guessed() {
    let scene = Scene::with_pictures();
    scene
        .run(&["boat.png --style wave.png --size 16 --evaluations 1"])
        .expect_code(0);
    scene.write(
        "batch.toml",
        "[[job]]\ncontent = 'boat.png'\nstyl = 'wave.png'",
    );
    for (args, hint) in [
        ("submti", "'submit'"),
        ("run a.png --styel b.png", "'--style'"),
        (
            "run a.png --style b.png --preset stduio",
            "did you mean studio?",
        ),
        (
            "run a.png --style b.png --pooling averge",
            "did you mean average?",
        ),
        ("run --file batch.toml", "did you mean style?"),
    ] {
        let ended = run(&scene, args, &[]).expect_code(2);
        assert!(ended.stderr.concat().contains(hint), "{}", ended.so_far());
    }
    let store = [("STYLEFLEET_STORE", "out/.stylefleet")];
    let batch = run(&scene, "status", &store).stdout.concat();
    let batch = batch.split(' ').next().expect("a name").to_owned();
    let refused = run(&scene, &format!("status {batch}x"), &store).expect_code(1);
    refused.expect_complaint(&[&format!("did you mean {batch}?")]);
    let refused = run(&scene, &format!("status {batch}/boat.wavy"), &store).expect_code(1);
    refused.expect_complaint(&["did you mean boat.wave?"]);
}

#[test]
fn bash_completes_commands_options_and_values() {
    let scene = Scene::new();
    for program in [stylefleet(), worker()] {
        let mut command = scene.command(&program);
        command.args(["completions", "bash"]);
        let script = Run::start(command).end().expect_code(0).stdout.join("\n");
        let name = program.file_name().expect("has one").to_string_lossy();
        scene.write(&format!("{name}.bash"), script);
    }
    for (words, completed) in [
        ("stylefleet subm", "submit submit-train submit-video"),
        ("stylefleet run --keep-c", "--keep-colors"),
        ("stylefleet run --preset note", "notebook"),
        (
            "stylefleet-worker serve --checkpoint-s",
            "--checkpoint-seconds",
        ),
    ] {
        let mut command = scene.command("bash");
        let ask = format!(
            "COMP_WORDS=({words}); source \"$COMP_WORDS.bash\"; \
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _${{COMP_WORDS//-/__}} \"$COMP_WORDS\" \
             \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; \
             echo \"${{COMPREPLY[@]}}\""
        );
        command.args(["--norc", "-c", &ask]);
        let ended = Run::start(command).end().expect_code(0);
        assert_eq!(ended.stdout.concat(), completed, "{words}");
    }
}

#[test]
fn the_worker_writes_a_manual_page_for_each_command() {
    let scene = Scene::new();
    let mut command = scene.command(worker());
    command.args(["man", "pages"]);
    Run::start(command).end().expect_code(0);
    for page in ["stylefleet-worker", "stylefleet-worker-serve"] {
        let page = String::from_utf8(scene.read(format!("pages/{page}.1"))).expect("is text");
        assert!(page.contains("SYNOPSIS"), "{page}");
    }
    scene.write("file", "");
    let mut command = scene.command(worker());
    command.args(["man", "file/pages"]);
    let refused = Run::start(command).end().expect_code(1);
    refused.expect_complaint(&["file/pages", "name another folder"]);
}

#[test]
fn help_takes_little_memory() {
    let scene = Scene::new();
    let mut command = scene.command("python3");
    let measure = "import resource, subprocess, sys; \
                   subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); \
                   print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    command
        .args(["-c", measure])
        .arg(stylefleet())
        .arg("--help");
    let ended = Run::start(command).end().expect_code(0);
    let peak: u64 = ended.stdout.concat().parse().expect("a number of KiB");
    assert!(peak << 10 < 30_000_000, "{peak} KiB");
}
