//! The settings in words: in help texts, in the file that `stylefleet init` writes, and in
//! docs/REFERENCE.md.

/// A setting, as people know it.
#[derive(Debug)]
pub struct Setting {
    /// Its name in a file; the variable's is `STYLEFLEET_` and the same in capitals.
    pub key: &'static str,
    /// What it is, and what holds where it is not set.
    pub about: &'static str,
    /// What it may look like.
    pub example: &'static str,
    /// What else whoever writes it into a file should know.
    pub caution: &'static str,
}

/// Every setting.
pub const SETTINGS: [Setting; 8] = [
    Setting {
        key: "broker",
        about: "the broker, amqp[s]://user:password@host[:port][,host...]/vhost",
        example: "amqps://user:password@mq.example.org/vhost",
        caution: "It has a password in it: better kept in the environment.",
    },
    Setting {
        key: "store",
        about: "the store, s3://bucket[/prefix] or a folder's path",
        example: "s3://bucket/prefix",
        caution: "",
    },
    Setting {
        key: "s3_endpoint",
        about: "an S3 server that is not AWS's, http[s]://host:port",
        example: "https://s3.example.org",
        caution: "Keys of S3 are never written here: AWS_ACCESS_KEY_ID and ~/.aws have them.",
    },
    Setting {
        key: "ca",
        about: "PEM file of further certificate authorities, for both",
        example: "/etc/ssl/own-ca.pem",
        caution: "",
    },
    Setting {
        key: "dashboard_token",
        about: "what people need to act in the dashboard, 16 characters at least",
        example: "a4d1...",
        caution: "A secret: better kept in the environment. `openssl rand -hex 16` makes one.",
    },
    Setting {
        key: "worker",
        about: "the worker of `run` [default: the one beside this or in PATH]",
        example: "/opt/stylefleet/bin/stylefleet-worker",
        caution: "",
    },
    Setting {
        key: "log",
        about: "what to log to standard error, as in debug [default: stylefleet=warn]",
        example: "stylefleet=info",
        caution: "",
    },
    Setting {
        key: "log_format",
        about: "lines of the log as text or json [default: text]",
        example: "json",
        caution: "",
    },
];

impl Setting {
    /// The variable that sets it.
    pub fn variable(&self) -> String {
        format!("STYLEFLEET_{}", self.key.to_uppercase())
    }
}

/// The settings for help texts.
pub fn manual() -> String {
    let line = |setting: &Setting| format!("  {:26}  {}\n", setting.variable(), setting.about);
    let lines: String = SETTINGS.iter().map(line).collect();
    format!(
        "\
Settings, from the environment, or else from ~/.config/stylefleet/config.toml, where broker is
STYLEFLEET_BROKER (`stylefleet init` writes that file, STYLEFLEET_CONFIG names another). Commands
on this machine, as `run`, need no broker and no store:
{lines}\
\x20 AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_PROFILE and the rest of AWS's own
\x20 OTEL_EXPORTER_OTLP_ENDPOINT and the rest of OpenTelemetry's own, for traces"
    )
}

/// The file that `stylefleet init` writes: every setting, none of them set.
pub fn template() -> String {
    let mut file = String::from(
        "# Settings of `stylefleet`, in TOML. Those that are set in the environment, as in\n\
         # STYLEFLEET_STORE=s3://bucket, take precedence. Nobody but you should be able to read\n\
         # this file. Workers have a file of their own: `stylefleet-worker settings` prints it.\n",
    );
    for Setting {
        key,
        about,
        example,
        caution,
    } in &SETTINGS
    {
        file += &format!("\n# {key}: {about}.\n");
        if !caution.is_empty() {
            file += &format!("# {caution}\n");
        }
        file += &format!("#{key} = \"{example}\"\n");
    }
    file
}
