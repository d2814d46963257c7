//! Exit codes.

use crate::commands::{CommandError, Ending};

/// An exit code, and when programs end with it.
pub struct Code {
    /// The number.
    pub code: u8,
    /// When a program ends with it.
    pub when: &'static str,
}

const DONE: Code = Code {
    code: 0,
    when: "all is as was wished",
};
const FAILED: Code = Code {
    code: 1,
    when: "some results could not be made or are missing, something is wrong, or there was trouble",
};
const USAGE: Code = Code {
    code: 2,
    when: "wrong usage: arguments, settings or a batch file",
};
const INTERRUPTED: Code = Code {
    code: 130,
    when: "interrupted by Ctrl-C or SIGTERM; the same command goes on from there",
};

/// All of them.
pub const CODES: [Code; 4] = [DONE, FAILED, USAGE, INTERRUPTED];

/// The code for how a command ended.
pub fn code(ended: &Result<Ending, CommandError>) -> u8 {
    let code = match ended {
        Ok(Ending::AllDone) => DONE,
        Ok(Ending::SomeFailed) => FAILED,
        Ok(Ending::Interrupted) => INTERRUPTED,
        Err(error) if error.is_usage() => USAGE,
        Err(_) => FAILED,
    };
    code.code
}

/// The table for help texts.
pub fn manual() -> String {
    let line = |Code { code, when }: &Code| format!("\n  {code:<4} {when}");
    let lines: String = CODES.iter().map(line).collect();
    format!("Exit codes:{lines}")
}
