//! The library names the fields of its configurations between backticks; a person at a shell knows them as options.

use clap::CommandFactory;

use crate::args::Arguments;

/// The message with every field that an option sets spelt as that option.
pub fn options(message: &str) -> String {
    let program = Arguments::command();
    let is_option = |name: &str| {
        let mut arguments = program.get_subcommands().flat_map(|it| it.get_arguments());
        arguments.any(|argument| argument.get_long() == Some(name))
    };
    let mut spelt = String::new();
    let mut rest = message;
    while let Some((before, after)) = rest.split_once('`') {
        spelt += before;
        let option = after.split_once('`').and_then(|(field, behind)| {
            let name = match field {
                "learning_rate" => "lr".to_owned(),
                field => field.replace('_', "-"),
            };
            is_option(&name).then_some((name, behind))
        });
        match option {
            Some((name, behind)) => {
                spelt += &format!("--{name}");
                rest = behind;
            }
            None => {
                spelt.push('`');
                rest = after;
            }
        }
    }
    spelt + rest
}

#[cfg(test)]
mod tests {
    use super::options;

    #[test]
    fn fields_are_spelt_as_options_and_all_else_stays() {
        assert_eq!(
            options("`learning_rate` is 0; `one_hot` a`b takes `c` and `data`"),
            "--lr is 0; --one-hot a`b takes `c` and --data"
        );
    }
}
