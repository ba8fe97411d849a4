//! The settings as arguments: one for each key of the library's table.

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use malti::Config;

/// What was given, in the table's order.
pub struct Settings(Vec<(&'static str, String)>);

impl Settings {
    /// The environment, then what was given.
    ///
    /// # Errors
    /// What is wrong with a value that was given.
    pub fn read(&self) -> Result<Config, String> {
        let mut config = Config::from_env();
        for (key, value) in &self.0 {
            config.set(key, value).map_err(|error| error.to_string())?;
        }
        Ok(config)
    }
}

impl Args for Settings {
    fn augment_args(command: Command) -> Command {
        let arguments = Config::keys().map(|key| {
            let default = match key.default {
                "" => String::new(),
                default => format!(". Default: {default}"),
            };
            Arg::new(key.name)
                .long(key.name.replace('_', "-"))
                .alias(key.name)
                .value_name("VALUE")
                .allow_hyphen_values(true)
                .help(key.meaning)
                .long_help(format!(
                    "{}. Accepted: {}{default}",
                    key.meaning, key.accepted
                ))
                .hide_short_help(true)
                .help_heading("Settings, over those of the environment")
        });
        command.args(arguments)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Settings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = Config::keys().filter_map(|key| {
            let value = matches.get_one::<String>(key.name)?;
            Some((key.name, value.clone()))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
