//! A real RabbitMQ and a real S3 store, as deploy/services/services.sh runs them.

use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::{Value, json};
use tempfile::TempDir;

/// A pair of servers.
#[derive(Debug)]
pub struct Services {
    broker: Script,
    store: Script,
    settings: HashMap<String, String>,
    /// Of servers that end with this.
    own: Option<TempDir>,
}

/// services.sh for one folder.
#[derive(Debug, Clone)]
pub struct Script {
    /// The folder.
    pub folder: PathBuf,
    /// The network namespace where its servers run, if it is not this process's.
    pub namespace: Option<String>,
}

/// One of the two servers.
#[derive(Debug, Clone, Copy)]
pub enum Server {
    /// RabbitMQ.
    Broker,
    /// SeaweedFS.
    Store,
}

/// A vhost and a bucket of a test's own, which go when this is dropped.
#[derive(Debug)]
pub struct Fleet<'a> {
    services: &'a Services,
    name: String,
    /// The broker, as its administrator.
    pub broker: String,
    /// The broker with what `stylefleet` needs, no more.
    pub dispatcher: String,
    /// The broker with what a worker needs, no more.
    pub worker: String,
    /// The bucket.
    pub store: String,
}

impl Services {
    /// The servers of all tests of this checkout. They are started where they do not run, and stay
    /// for the next test; `make test` stops them in the end. `STYLEFLEET_TEST_SERVICES` names
    /// another folder than `.services-test`.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Services> = LazyLock::new(|| {
            let folder = std::env::var_os("STYLEFLEET_TEST_SERVICES");
            let folder = folder.map_or_else(|| root().join(".services-test"), PathBuf::from);
            Services::start_in(folder, None)
        });
        &SHARED
    }

    /// Servers of a test's own, to be stopped and killed. They end when this is dropped.
    pub fn private() -> Self {
        let own = tempfile::tempdir().expect("a temporary folder");
        Self::start_in(own.path().to_owned(), Some(own))
    }

    fn start_in(folder: PathBuf, own: Option<TempDir>) -> Self {
        let script = Script {
            folder,
            namespace: None,
        };
        script.run(&["start"]);
        let services = Self {
            settings: script.settings(),
            broker: script.clone(),
            store: script,
            own,
        };
        services.make_users();
        services
    }

    /// A broker that is there already, by its URL, and the store of all tests. `broker` leads to
    /// one node of it.
    pub fn with_broker(url: String, broker: Script) -> Self {
        let shared = Self::shared();
        let mut settings = shared.settings.clone();
        settings.insert("STYLEFLEET_BROKER".to_owned(), url);
        let services = Self {
            broker,
            store: shared.store.clone(),
            settings,
            own: None,
        };
        services.make_users();
        services
    }

    /// A line of `services.sh env`.
    pub fn setting(&self, name: &str) -> &str {
        &self.settings[name]
    }

    /// Starts a server that was stopped or killed, and waits until it is ready.
    pub fn start(&self, server: Server) {
        self.script(server).run(&["start", server.name()]);
    }

    /// Ends a server in good order.
    pub fn stop(&self, server: Server) {
        self.script(server).run(&["stop", server.name()]);
    }

    /// Ends a server as a crash would.
    pub fn kill(&self, server: Server) {
        self.script(server).run(&["kill", server.name()]);
    }

    /// What `rabbitmqctl` answers. A call takes a third of a second.
    pub fn rabbitmqctl(&self, args: &[&str]) -> String {
        self.broker.rabbitmqctl(args)
    }

    fn script(&self, server: Server) -> &Script {
        match server {
            Server::Broker => &self.broker,
            Server::Store => &self.store,
        }
    }

    /// Calls RabbitMQ's command for its plugins.
    pub fn rabbitmq_plugins(&self, args: &[&str]) {
        self.broker.run(&[&["rabbitmq-plugins"], args].concat());
    }

    /// A folder for the PATH, with a `rabbitmqctl` that speaks to this broker.
    pub fn tools(&self) -> PathBuf {
        let (script, folder) = (script(), &self.broker.folder);
        let tools = folder.join("tools");
        let text = format!(
            "#!/bin/sh\nexec '{}' --dir '{}' rabbitmqctl \"$@\"\n",
            script.display(),
            folder.display()
        );
        let file = tools.join("rabbitmqctl");
        fs::create_dir_all(&tools).expect("a folder");
        fs::write(&file, text).expect("writes a script");
        fs::set_permissions(&file, Permissions::from_mode(0o755)).expect("is ours");
        tools
    }

    /// The dispatcher and the worker, who may do nothing yet.
    fn make_users(&self) {
        let admin = self.setting("STYLEFLEET_BROKER");
        let password = admin.split([':', '@']).nth(2).expect("has a password");
        let user = |name| json!({"name": name, "password": password, "tags": ""});
        self.import(&json!({"users": [user("dispatcher"), user("worker")]}));
    }

    /// Makes users, vhosts and permissions, all in one call.
    fn import(&self, definitions: &Value) {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        serde_json::to_writer(&file, definitions).expect("writes JSON");
        let path = file.path().to_str().expect("a plain path");
        self.rabbitmqctl(&["import_definitions", path]);
    }

    /// A new vhost and a new bucket.
    pub fn fleet(&self) -> Fleet<'_> {
        let name = format!("test-{:016x}", fastrand::u64(..));
        let admin = self.setting("STYLEFLEET_BROKER");
        let (address, _) = admin.rsplit_once('/').expect("the URL names a vhost");
        let broker = format!("{address}/{name}");
        let as_user = |user: &str| broker.replacen("//stylefleet:", &format!("//{user}:"), 1);
        let fleet = Fleet {
            services: self,
            dispatcher: as_user("dispatcher"),
            worker: as_user("worker"),
            store: format!("s3://{name}"),
            broker,
            name,
        };
        fleet.make_vhost();
        curl(&["-X", "POST", &fleet.bucket()]);
        fleet
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        if self.own.is_some() {
            self.store.run(&["kill"]);
            self.store.run(&["stop"]); // tidies up
        }
    }
}

impl Script {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = match &self.namespace {
            None => Command::new(script()),
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(script());
                command
            }
        };
        command.arg("--dir").arg(&self.folder).args(args);
        command
    }

    /// What it answers.
    pub fn run(&self, args: &[&str]) -> String {
        output(&mut self.command(args))
    }

    /// Whether it does as it is told.
    pub fn succeeds(&self, args: &[&str]) -> bool {
        let ended = self.command(args).stdin(Stdio::null()).output();
        ended.is_ok_and(|ended| ended.status.success())
    }

    /// What `rabbitmqctl` answers.
    pub fn rabbitmqctl(&self, args: &[&str]) -> String {
        self.run(&[&["rabbitmqctl", "--silent"], args].concat())
    }

    /// The lines of `services.sh env`.
    pub fn settings(&self) -> HashMap<String, String> {
        let setting = |line: &str| {
            let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
            Some((name.to_owned(), value.trim_matches('\'').to_owned()))
        };
        self.run(&["env"]).lines().filter_map(setting).collect()
    }
}

impl Server {
    fn name(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Store => "store",
        }
    }
}

impl Fleet<'_> {
    /// The environment of a program that is to use this vhost, by one of the URLs, and this bucket.
    pub fn environment(&self, broker: &str) -> Vec<(String, String)> {
        let own = [
            ("STYLEFLEET_BROKER", broker),
            ("STYLEFLEET_STORE", &self.store),
        ];
        let common = [
            "STYLEFLEET_S3_ENDPOINT",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_REGION",
        ];
        let common = common.map(|name| (name, self.services.setting(name)));
        let all = own.into_iter().chain(common);
        all.map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// What `rabbitmqctl` answers for this vhost.
    pub fn rabbitmqctl(&self, args: &[&str]) -> String {
        let vhost = ["--vhost", &self.name];
        self.services.rabbitmqctl(&[args, &vhost].concat())
    }

    fn make_vhost(&self) {
        let may = |user: &str, configure: &str, write: &str, read: &str| {
            json!({"user": user, "vhost": self.name,
                "configure": configure, "write": write, "read": read})
        };
        let permissions = [
            may("stylefleet", ".*", ".*", ".*"),
            may(
                "dispatcher",
                r"^stylefleet\.v2\.watch\..*$",
                r"^stylefleet\.v2\.(jobs|watch\..*)$",
                r"^stylefleet\.v2\.(dead|events|progress|watch\..*)$",
            ),
            may(
                "worker",
                "^$",
                r"^stylefleet\.v2\.(jobs|retry\..*|dead|events|progress)$",
                r"^stylefleet\.v2\.(jobs\..*|abandoned)$",
            ),
        ];
        let vhosts = [json!({"name": self.name})];
        self.services
            .import(&json!({"vhosts": vhosts, "permissions": permissions}));
    }

    /// Where the store keeps an object of the bucket, by a way that asks for no key.
    pub fn object_url(&self, key: &str) -> String {
        self.bucket() + key
    }

    /// Where the store keeps the bucket: whatever is made there is one.
    fn bucket(&self) -> String {
        let filer = self.services.setting("STYLEFLEET_TEST_FILER");
        format!("{filer}/buckets/{}/", self.name)
    }
}

impl Drop for Fleet<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return; // left to be looked at; and a second panic would hide the first
        }
        self.services.rabbitmqctl(&["delete_vhost", &self.name]);
        curl(&["-X", "DELETE", &format!("{}?recursive=true", self.bucket())]);
    }
}

/// What an HTTP server answers; `args` are curl's. Fails unless it is a success.
pub fn curl(args: &[&str]) -> String {
    output(
        Command::new("curl")
            .args(["-sS", "--fail", "--max-time", "20"])
            .args(args),
    )
}

fn script() -> PathBuf {
    root().join("deploy/services/services.sh")
}

pub(crate) fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

/// This checkout.
pub fn root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests lie in the root")
}
