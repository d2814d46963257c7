//! What a worker does with such a job. Its input, the course, says in a word how that goes.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use stylefleet_proto::{Job, Specification};
use stylefleet_worker::engine::checkpoint::{self, Owner};
use stylefleet_worker::engine::{
    Control, Engine, Error, Figures, Finished, Observer, Outcome, Output, Progress, State, Task,
};
use stylefleet_worker::{Assignment, Failure, Inputs, Kind, async_trait};

use crate::{Asked, Counting};

/// How long a worker lives that is to end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The kind, for a worker's registry.
#[derive(Debug)]
pub struct CountingKind;

#[async_trait]
impl Kind for CountingKind {
    fn name(&self) -> &'static str {
        Asked::KIND
    }

    async fn prepare(&self, job: &Job, inputs: &Inputs) -> Result<Assignment, Failure> {
        let Asked(asked) = job.specification()?;
        let role = Counting::course()?;
        let course = job.input(&role).ok_or(Failure::NoInput(role))?;
        let course = String::from_utf8_lossy(&inputs.get(course).await?).into_owned();
        let asked = asked.into_inner();
        Ok(Assignment {
            specification: serde_json::json!(asked),
            task: Arc::new(CountingTask {
                identity: job.id.to_string(),
                course,
                asked,
            }),
        })
    }
}

/// A job ready to be done.
#[derive(Debug)]
struct CountingTask {
    identity: String,
    asked: Counting,
    /// `smooth`; `fail`: for good; `stumble PATH`: for a passing reason, unless there is a file at
    /// PATH, which is made; `say WORD`: notes it; `die`: the worker ends.
    course: String,
}

/// Where it stands.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Count {
    number: u64,
    sum: u64,
    even: u64,
    seconds: f64,
}

impl Task for CountingTask {
    fn run(
        &self,
        _: &mut Engine,
        checkpoint: Option<&[u8]>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, Error> {
        let owner = Owner {
            kind: Asked::KIND,
            identity: &self.identity,
        };
        let mut count = match checkpoint {
            Some(bytes) => checkpoint::read(bytes, owner)?.state()?,
            None => Count::default(),
        };
        self.begin(observer)?;
        let clock = Instant::now();
        let earlier = count.seconds;
        while count.number < self.asked.to {
            std::thread::sleep(Duration::from_millis(self.asked.pause));
            count.number += 1;
            count.sum += count.number;
            count.even += u64::from(count.number.is_multiple_of(2));
            count.seconds = earlier + clock.elapsed().as_secs_f64();
            let save = || checkpoint::save(owner, count.number, &count);
            observer.accepted(&State {
                steps: count.number,
                checkpoint: &save,
                preview: &|| Ok(format!("{} so far", count.sum).into_bytes()),
            });
            if observer.progressed(&self.progress(&count)) == Control::Interrupt {
                return Ok(Outcome::Interrupted {
                    checkpoint: save()?,
                    steps: count.number,
                });
            }
        }
        Ok(Outcome::Finished(finished(&count)))
    }
}

impl CountingTask {
    /// Does what the course says, if that is more than to count.
    fn begin(&self, observer: &mut dyn Observer) -> Result<(), Error> {
        let mut words = self.course.split_whitespace();
        match (words.next(), words.next()) {
            (Some("fail"), _) => Err(Error::Request("the course says: fail".to_owned())),
            (Some("die"), _) => {
                // Long enough for the worker to leave its mark in the store.
                std::thread::sleep(LAST_WORDS);
                std::process::abort()
            }
            (Some("stumble"), Some(path)) if File::create_new(path).is_ok() => {
                Err(Error::Torch("the course says: stumble".into()))
            }
            (Some("say"), Some(word)) => {
                observer.noted(word);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn progress(&self, count: &Count) -> Progress {
        let left = self.asked.to - count.number;
        Progress {
            phase: "counting".to_owned(),
            done: count.number,
            total: self.asked.to,
            unit: "numbers".to_owned(),
            steps: count.number,
            figures: figures(count),
            seconds_left: Some((left * self.asked.pause) as f64 / 1000.0),
        }
    }
}

fn figures(count: &Count) -> Figures {
    let figures = [("sum", count.sum), ("sum.even", count.even)];
    let figures = figures.map(|(name, value)| (name.to_owned(), value as f64));
    figures.into()
}

fn finished(count: &Count) -> Finished {
    let sum = format!("{}\n", count.sum);
    let table = format!("numbers,even\n{},{}\n", count.number, count.even);
    let output = |role, media_type, ending, text: String| Output {
        role,
        media_type,
        ending,
        encode: Box::new(move || Ok(text.into_bytes())),
    };
    Finished {
        outputs: vec![
            output("sum", "text/plain", "txt", sum),
            output("table", "text/csv", "csv", table),
        ],
        seconds: count.seconds,
        steps: count.number,
        figures: figures(count),
        made_with: [("method".to_owned(), "fingers".to_owned())].into(),
    }
}
