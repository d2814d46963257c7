//! The entries through which bytes from outside come in. Whatever comes, nothing panics; and what
//! passes says the same once it was written and read again.

use std::fmt::{Debug, Display};
use std::pin::pin;
use std::str::FromStr;
use std::task::{Context, Poll, Waker};

use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stylefleet_model::apply::Apply;
use stylefleet_model::stylize::{Layer, Stylize};
use stylefleet_model::train::{Photographs, Train};
use stylefleet_model::trained::{StyleName, Trained};
use stylefleet_proto::{
    Accepted, BatchId, Digest, Event, Failure, Hello, Job, JobId, Manifest, Name, Pulse, Record,
    Specification, Start, ToWorker, Valid, wire,
};
use stylefleet_transport::broker::BrokerUrl;
use stylefleet_transport::pipe::Receiver;
use stylefleet_transport::store::Location;

/// What stands for a broker's password: nobody else would say it.
const PASSWORD: &str = "Oft7Geheim";

/// A message, of whatever kind, from the broker or a pipe.
pub fn messages(bytes: &[u8]) {
    if let Some(job) = is_stable(bytes, |job: &Job| wire::Job::from(job)) {
        let id = JobId::of(&job.kind, &job.specification, &job.inputs);
        assert_eq!(job.id, id, "the id is the ask's");
        // Whether it is valid is another question.
        let _ = job.specification::<Valid<Stylize>>();
        let _ = job.specification::<Valid<Train>>();
        let _ = job.specification::<Valid<Apply>>();
    }
    is_asked::<Valid<Stylize>>(bytes);
    is_asked::<Valid<Train>>(bytes);
    is_asked::<Valid<Apply>>(bytes);
    is_stable(bytes, |event: &Event| wire::Event::from(event.clone()));
    is_stable(bytes, |pulse: &Pulse| wire::Pulse::from(pulse.clone()));
    is_stable(bytes, |hello: &Hello| wire::Hello::from(hello.clone()));
    is_stable(bytes, |message: &ToWorker| wire::ToWorker::from(message));
    read_frames::<wire::ToWorker>(bytes);
    read_frames::<wire::FromWorker>(bytes);
}

/// A document, of whatever kind, from the store.
pub fn documents(bytes: &[u8]) {
    is_kept::<Manifest>(bytes);
    is_kept::<Accepted>(bytes);
    is_kept::<Start>(bytes);
    is_kept::<Record>(bytes);
    is_kept::<Failure>(bytes);
    is_kept::<Photographs>(bytes);
    let _ = Photographs::read(bytes);
}

/// A model file.
pub fn models(bytes: &[u8]) {
    match Trained::read(bytes) {
        Ok(model) => {
            for (name, shape) in model.header.shapes() {
                assert_eq!(model.values(&name).len(), shape.iter().product::<usize>());
            }
        }
        Err(refused) => assert!(!refused.to_string().contains(char::is_control)),
    }
}

/// An address or a name that somebody wrote.
pub fn addresses(text: &str) {
    is_repeated::<Location>(text);
    is_repeated::<JobId>(text);
    is_repeated::<BatchId>(text);
    is_repeated::<Name>(text);
    is_repeated::<Digest>(text);
    is_repeated::<Layer>(text);
    is_repeated::<StyleName>(text);
    for url in [
        text.to_owned(),
        format!("amqp://me:{PASSWORD}@{text}"),
        format!("amqps://me:{PASSWORD}{text}"),
        format!("amqp://{text}:{PASSWORD}@host/vhost"),
    ] {
        let said = match url.parse::<BrokerUrl>() {
            Ok(broker) => format!("{broker} {broker:?}"),
            Err(refused) => refused.to_string(),
        };
        assert!(
            !said.contains(PASSWORD) || text.contains(PASSWORD),
            "{url} is said to be {said}"
        );
    }
}

/// Reads a message. What it means stays the same, bit for bit, when it is sent on.
fn is_stable<W, T>(bytes: &[u8], write: fn(&T) -> W) -> Option<T>
where
    W: Message + Default,
    T: TryFrom<W, Error: Debug>,
{
    let value = T::try_from(W::decode(bytes).ok()?).ok()?;
    let written = write(&value).encode_to_vec();
    let again = T::try_from(W::decode(&written[..]).expect("decodes")).expect("passes");
    assert_eq!(write(&again).encode_to_vec(), written);
    Some(value)
}

/// Reads what a job of some kind asks for. It stays the same when it is asked for again.
fn is_asked<S: Specification>(bytes: &[u8]) {
    if let Ok(asked) = S::decode(bytes) {
        let written = asked.encode();
        let again = S::decode(&written).expect("passes again");
        assert_eq!(again.encode(), written);
    }
}

/// Reads frames to the end of the pipe, or to the first that is none.
fn read_frames<M: Message + Default>(bytes: &[u8]) {
    let mut pipe = Receiver::<_, M>::new(bytes);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match pin!(pipe.recv()).poll(&mut context) {
            Poll::Ready(Ok(Some(_))) => {}
            Poll::Ready(_) => return,
            Poll::Pending => unreachable!("all bytes are there"),
        }
    }
}

fn is_kept<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) {
    if let Ok(document) = serde_json::from_slice::<T>(bytes) {
        let json = serde_json::to_vec_pretty(&document).expect("is written");
        let again: T = serde_json::from_slice(&json).expect("is read again");
        assert_eq!(again, document);
    }
}

fn is_repeated<T: FromStr<Err: Debug> + Display + PartialEq + Debug>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        let again: T = value.to_string().parse().expect("passes again");
        assert_eq!(again, value);
    }
}
