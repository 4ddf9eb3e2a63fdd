//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Keeps mOS in step with a Salesforce org.
///
/// Exit codes: 0 done or healthy, 1 failed, degraded or audit not clean, 2 configuration or usage, 3 a
/// dependency out of reach.
#[derive(Debug, Parser)]
#[command(name = "mosync", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show mosync at work: stand-ins for Salesforce and mOS, all services, live changes, an audit
    #[cfg(feature = "demo")]
    Demo(crate::demo::Options),
    /// Run all services in this process
    All(Configured),
    /// Run the listener: Salesforce's events and snapshots in, units out
    Listener(Configured),
    /// Run the filter worker
    Filter(Configured),
    /// Run the permission worker
    Permission(Configured),
    /// Run the loader worker
    Loader(Configured),
    /// Serve the console alone: pages for people, and the API
    Console(Configured),
    /// Make a new token for the API, and the hash of it for the configuration
    ConsoleToken,
    /// Say how the sync is; exit code 0 healthy, 1 degraded, 3 a dependency out of reach
    Status {
        #[command(flatten)]
        configured: Configured,
        /// One job instead of everything; exit code 1 when it failed, is stalled or left records parked
        job: Option<String>,
        /// Again every two seconds; a job until it is over
        #[arg(long)]
        watch: bool,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Bring everything in scope to mOS; prints the job's id, or that of the one that runs already
    SyncAll {
        #[command(flatten)]
        configured: Configured,
        /// Until it is over; exit code 0 completed, 1 failed, cancelled or with records parked
        #[arg(long)]
        wait: bool,
    },
    /// Who holds mOS permission, through what and until when, and who owns matching opportunities without it
    Users {
        #[command(flatten)]
        configured: Configured,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// What left the scope and is still in mOS: how many opportunities, which and why; asks mOS and
    /// Salesforce
    Left {
        #[command(flatten)]
        configured: Configured,
        /// text counts them and names the first, the others write all of them
        #[arg(long, value_enum, default_value_t = LogsFormat::Text)]
        format: LogsFormat,
        /// How many are named in the text
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u16,
    },
    /// Why a record is in mOS, or is not, and what would bring it there
    Explain {
        #[command(flatten)]
        configured: Configured,
        /// A Salesforce id of 15 or 18 characters, or the address of the record's page
        #[arg(value_name = "ID")]
        asked: String,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Jobs, newest first, and what can be done about them
    Jobs(JobsArguments),
    /// The integration log, newest first
    Logs(Box<LogsArguments>),
    /// Ask the service that runs with this configuration whether it is ready; exit code 0 when it is
    Health(Configured),
    /// Notifications: what was told to whom, and a test
    #[command(subcommand)]
    Notify(NotifyCommand),
    /// Settings: what is synced
    #[command(subcommand)]
    Settings(Box<SettingsCommand>),
    /// Parked records: what could not be brought to mOS, and why
    #[command(subcommand)]
    Parked(ParkedCommand),
    /// Dead messages: those that nobody could process
    #[command(subcommand)]
    Dead(DeadCommand),
    /// The queues in the message broker
    #[command(subcommand)]
    Topology(TopologyCommand),
    /// Turn a raw Avro change event into JSON, changed and cleared fields by name
    DecodeEvent {
        /// The Avro schema that the event names (JSON)
        #[arg(long, value_name = "FILE")]
        schema: PathBuf,
        /// The raw datum; without it, the schema's fields and their bits are listed
        #[arg(long, value_name = "FILE")]
        payload: Option<PathBuf>,
    },
    /// Run a stand-in server
    #[cfg(feature = "demo")]
    #[command(subcommand)]
    Fake(FakeCommand),
}

#[derive(Debug, Args)]
pub(crate) struct Configured {
    /// The configuration file; every key can be overridden by `MOSYNC_SECTION_KEY`
    #[arg(long, value_name = "FILE", env = "MOSYNC_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NotifyCommand {
    /// The newest notifications, and whether they arrived
    List {
        #[command(flatten)]
        configured: Configured,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Send a test to everybody who would be told, and say what each server answers; exit code 1
    /// when somebody's did not take it
    Test {
        #[command(flatten)]
        configured: Configured,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SettingsCommand {
    /// Show the settings in force, or an older revision
    Get {
        #[command(flatten)]
        configured: Configured,
        /// Another revision than the one in force
        #[arg(long, value_name = "N")]
        revision: Option<u64>,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Change one setting, such as `disabled on` or `admin-emails ada@example.com bo@example.com`
    Set {
        #[command(flatten)]
        configured: Configured,
        /// admin-emails, disabled, run-in-sandbox, sync-closed, filter or another part of the
        /// document; `mosync settings get` lists them
        key: String,
        /// on or off; addresses; anything else as JSON
        #[arg(required = true, value_name = "VALUE")]
        values: Vec<String>,
        /// Only show what the save would do, as `mosync settings preview` does
        #[arg(long)]
        preview: bool,
    },
    /// Show what saving a document (JSON) would do: which opportunities enter, leave and are sent
    /// again, with how many API requests and in what time
    Preview {
        #[command(flatten)]
        configured: Configured,
        /// The document
        file: PathBuf,
        /// The revision that the document was made from; without it, the one in force
        #[arg(long, value_name = "N")]
        base: Option<u64>,
        /// Every opportunity, as a list instead of the summary
        #[arg(long, value_enum)]
        format: Option<PreviewedFormat>,
        /// Only the opportunities of which this becomes
        #[arg(long, value_enum, requires = "format")]
        effect: Option<PreviewedEffect>,
        /// The summary as JSON, for programs
        #[arg(long, conflicts_with = "format")]
        json: bool,
    },
    /// The saves, newest first: who, when, what changed
    History {
        #[command(flatten)]
        configured: Configured,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        /// Those before this revision
        #[arg(long, value_name = "N")]
        before: Option<u64>,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// What two revisions differ in: A and B, A and the one in force, or what the newest save changed
    Diff {
        #[command(flatten)]
        configured: Configured,
        /// The older revision; 0 is what holds before the first save
        a: Option<u64>,
        /// The newer revision
        b: Option<u64>,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Save an older revision as a new one; shows first what that changes and does, and asks at a
    /// terminal
    Revert {
        #[command(flatten)]
        configured: Configured,
        /// The older revision
        #[arg(value_name = "N")]
        to: u64,
        /// Only show what would change
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Write the settings as a document that `import` takes
    Export {
        #[command(flatten)]
        configured: Configured,
        /// Another revision than the one in force
        #[arg(long, value_name = "N")]
        revision: Option<u64>,
        /// Into this file instead of the standard output
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Save a settings document (JSON); what it newly lets in is brought to mOS
    Import {
        #[command(flatten)]
        configured: Configured,
        /// The document
        file: PathBuf,
        /// The revision that the document was made from; without it, the one in force
        #[arg(long, value_name = "N")]
        base: Option<u64>,
        /// When somebody has saved other settings since, save both changes together
        #[arg(long, requires = "base")]
        merge: bool,
        /// Only show what would change, and what is wrong
        #[arg(long, conflicts_with = "merge")]
        dry_run: bool,
    },
    /// Take over the field mapping that the org keeps as custom metadata of the mOS package; shows
    /// first what that changes, and asks at a terminal
    ImportMapping {
        #[command(flatten)]
        configured: Configured,
        /// API name of the custom metadata type, where it is not that of the mOS package
        #[arg(long = "type", value_name = "NAME")]
        metadata_type: Option<String>,
        /// Only show what would change, and what is wrong
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Serve the connected org from now on, though the settings were for another one
    ConfirmOrg {
        #[command(flatten)]
        configured: Configured,
        /// The id of the connected org, 00D...; `mosync status` names it
        org: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum PreviewedFormat {
    /// For spreadsheets; a cell that would be a formula there begins with an apostrophe
    Csv,
    /// A JSON object a line, for programs
    Jsonl,
}

impl PreviewedFormat {
    pub(crate) const fn of(self) -> boot::console::views::Format {
        match self {
            Self::Csv => boot::console::views::Format::Csv,
            Self::Jsonl => boot::console::views::Format::Jsonl,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum PreviewedEffect {
    /// They qualify then and do not now
    Enters,
    /// They qualify now and do not then
    Leaves,
    /// They qualify now and then, and the mapping differs
    SentAgain,
}

impl PreviewedEffect {
    pub(crate) const fn of(self) -> domain::rule::Effect {
        match self {
            Self::Enters => domain::rule::Effect::Enters,
            Self::Leaves => domain::rule::Effect::Leaves,
            Self::SentAgain => domain::rule::Effect::SentAgain,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct JobsArguments {
    /// The configuration file; every key can be overridden by `MOSYNC_SECTION_KEY`
    #[arg(long, value_name = "FILE", env = "MOSYNC_CONFIG", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// As JSON, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,
    #[command(subcommand)]
    pub(crate) command: Option<JobsCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// Show one job, object by object
    Show {
        /// Its id
        job: String,
    },
    /// Hold a job until it is resumed, over restarts too; live changes go on
    Pause {
        /// Its id
        job: String,
        /// Why, for the log
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let a paused job go on
    Resume {
        /// Its id
        job: String,
    },
    /// End a job: nothing more is read, nothing is undone
    Cancel {
        /// Its id
        job: String,
        /// Why, for the log
        #[arg(long)]
        reason: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct LogsArguments {
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// About this record
    #[arg(long, value_name = "ID")]
    pub(crate) record: Option<String>,
    /// About this job
    #[arg(long, value_name = "ID")]
    pub(crate) job: Option<String>,
    /// About a record of this object, such as Opportunity
    #[arg(long)]
    pub(crate) object: Option<String>,
    /// At least this bad: info, warning or error
    #[arg(long)]
    pub(crate) level: Option<String>,
    /// Of this topic, such as stream, job, parked, salesforce or mos
    #[arg(long)]
    pub(crate) topic: Option<String>,
    /// With these words in its sentence
    #[arg(long, value_name = "WORDS")]
    pub(crate) text: Option<String>,
    /// Written since then: 2026-11-22T15:04:05Z, or how long ago, such as 30m, 2h or 7d
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Written before then, in the same forms
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// text shows the newest 100 lines, the others write all of them
    #[arg(long, value_enum, default_value_t = LogsFormat::Text)]
    pub(crate) format: LogsFormat,
    /// How many lines of text
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogsFormat {
    /// For reading
    Text,
    /// For spreadsheets; a cell that would be a formula there begins with an apostrophe
    Csv,
    /// A JSON object a line, for programs
    Jsonl,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ParkedCommand {
    /// List parked records by cause, with what to do
    List {
        #[command(flatten)]
        configured: Configured,
        /// Every record instead of the groups
        #[arg(long, conflicts_with = "group")]
        all: bool,
        /// The records of one group
        #[arg(long, value_name = "GROUP")]
        group: Option<String>,
        /// As JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Read parked records back from Salesforce and try again, now
    Retry {
        #[command(flatten)]
        configured: Configured,
        #[command(flatten)]
        which: Which,
    },
    /// Decide that parked records need not come to mOS as they are; they stay listed, with the reason
    Dismiss {
        #[command(flatten)]
        configured: Configured,
        #[command(flatten)]
        which: Which,
        /// Why
        #[arg(long)]
        reason: String,
    },
}

/// Which parked records.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// Record ids
    #[arg(value_name = "ID")]
    pub(crate) records: Vec<String>,
    /// Every open one
    #[arg(long)]
    pub(crate) all: bool,
    /// The open ones of a group, by its id from the list
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadCommand {
    /// List the first dead messages, oldest first
    List {
        #[command(flatten)]
        configured: Configured,
        /// As JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Show one message, with the records of its unit
    Show {
        #[command(flatten)]
        configured: Configured,
        /// Its id
        id: String,
    },
    /// Send a message back to the queue it was in
    Replay {
        #[command(flatten)]
        configured: Configured,
        /// Its id
        id: String,
    },
    /// Throw a message away; its records are counted as cancelled and named in the log
    Discard {
        #[command(flatten)]
        configured: Configured,
        /// Its id
        id: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TopologyCommand {
    /// Declare exchanges and queues, and compare what is there already
    Apply {
        #[command(flatten)]
        configured: Configured,
    },
}

#[cfg(feature = "demo")]
#[derive(Debug, Subcommand)]
pub(crate) enum FakeCommand {
    /// A Salesforce org
    Salesforce(Box<fake_salesforce::server::Options>),
    /// mOS
    Mos(fake_mos::Options),
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _};

    use super::Cli;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    /// The commands in a text: between backticks, or on lines of their own.
    fn commands(text: &str) -> impl Iterator<Item = &str> {
        text.lines().flat_map(|line| {
            let within = line.split('`').skip(1).step_by(2);
            let alone = line.strip_prefix("$ ").unwrap_or(line);
            let all = within.chain(alone.split('#').next());
            all.filter(|part| part.starts_with("mosync "))
        })
    }

    /// The first subcommand or flag of a command that there is not.
    fn unknown<'t>(root: &Command, command: &'t str) -> Option<&'t str> {
        let (mut parent, mut here) = (root, root);
        let mut is_other = false;
        for word in command.split_whitespace().skip(1) {
            if let Some(flag) = word.strip_prefix("--") {
                let mut flags = here.get_arguments();
                if !flags.any(|argument| argument.get_long() == Some(flag)) {
                    return Some(word);
                }
            } else if is_other {
                here = parent;
            }
            is_other = word == "|";
            // Not what stands for a value: `JOB`, `...`.
            let is_of_name = |letter: char| letter.is_ascii_lowercase() || letter == '-';
            let name = word.split(|letter| !is_of_name(letter)).next();
            let name = name.filter(|name| !name.is_empty() && !name.starts_with('-'));
            let Some(name) = name.filter(|_| here.has_subcommands()) else {
                continue;
            };
            match here.find_subcommand(name) {
                Some(found) => (parent, here) = (here, found),
                None => return Some(word),
            }
        }
        None
    }

    #[test]
    #[cfg(feature = "demo")]
    fn documents_name_commands_that_there_are() {
        let mut root = Cli::command();
        root.build();
        let wrong = [
            "mosync dance",
            "mosync left --all",
            "mosync dead list | bury ID",
        ];
        for command in wrong {
            assert!(unknown(&root, command).is_some(), "{command}");
        }
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let mut seen = 0;
        for file in [
            "README.md",
            "ARCHITECTURE.md",
            "CONTRIBUTING.md",
            "CHANGELOG.md",
            "docs/console.md",
        ] {
            let text = std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
            for command in commands(&text) {
                seen += 1;
                assert_eq!(unknown(&root, command), None, "{file}: `{command}`");
            }
        }
        assert!(seen > 50, "{seen}");
    }
}
