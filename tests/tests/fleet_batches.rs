//! Batches in the store, and jobs that the broker or a worker does not have as it should.

use std::fs;

use serde_json::Value;
use stylefleet_tests::Run;
use stylefleet_tests::fleet::Workshop;
use stylefleet_tests::processes::wait_until;
use stylefleet_tests::services::Services;

/// Small and quick.
const QUICK: &str = "--size 32 --scales 1 --evaluations 5";

/// The findings of `doctor` that are problems.
fn problems(workshop: &Workshop<'_>) -> Vec<String> {
    let ended = workshop.start(&["doctor"]).end();
    let report: Value = serde_json::from_str(&ended.stdout.concat()).expect("JSON");
    let findings = report["findings"].as_array().expect("a list");
    let problems = findings.iter().filter(|f| f["verdict"] == "problem");
    problems
        .map(|finding| finding["text"].to_string())
        .collect()
}

#[test]
fn submits_at_the_same_moment_lose_nothing() {
    let workshop = Workshop::new(Services::shared());
    for number in 0..16 {
        workshop
            .scene
            .add_content(&format!("c{number}.png"), 10 + number);
    }
    let submit = |number: u32| {
        let contents = format!(
            "submit c{number}.png c{}.png --style wave.png --batch b",
            number + 8
        );
        workshop.start(&[&contents, QUICK])
    };
    let submits: Vec<_> = (0..8).map(submit).collect();
    for submit in submits {
        let ended = submit.end().expect_code(0);
        assert_eq!(ended.events_of("submitted")[0]["accepted"], 2);
    }
    let status = workshop.ask(&["status b --jobs"]);
    assert_eq!(status["results"], 16, "{status}");
    assert_eq!(status["states"]["waiting"], 16, "{status}");
    assert_eq!(status["lost"], 0, "{status}");
    // Asked for once more, all at once, nothing is added.
    let all = [
        "submit c0.png c8.png boat.png --style wave.png --batch b",
        QUICK,
    ];
    assert_eq!(workshop.ask(&all)["accepted"], 1);
    assert_eq!(workshop.ask(&["status b"])["results"], 17);
}

#[test]
fn what_the_broker_lost_is_noticed_and_handed_in_again() {
    let workshop = Workshop::new(Services::shared());
    let submit = ["submit boat.png car.png --style wave.png --batch b", QUICK];
    assert_eq!(workshop.ask(&submit)["accepted"], 2);
    assert_eq!(problems(&workshop), Vec::<String>::new());
    workshop
        .fleet
        .rabbitmqctl(&["purge_queue", "stylefleet.v2.jobs.normal"]);
    assert_eq!(workshop.ask(&["status b"])["lost"], 2);
    let [problem] = &problems(&workshop)[..] else {
        panic!("not one problem: {:?}", problems(&workshop));
    };
    assert!(problem.contains("2 jobs are lost"), "{problem}");

    assert_eq!(workshop.ask(&submit)["accepted"], 2);
    let again = workshop.ask(&submit);
    assert_eq!(
        (&again["accepted"], &again["pending"]),
        (&0.into(), &2.into())
    );
    assert_eq!(workshop.ask(&["status b"])["lost"], 0);
    let _worker = workshop.start_worker(&[]);
    workshop.watch("b").end().expect_code(0);
}

#[test]
fn a_result_that_was_removed_or_damaged_is_made_again() {
    let workshop = Workshop::new(Services::shared());
    let submit = "submit boat.png --style wave.png --batch b";
    workshop.ask(&[submit, QUICK]);
    let _worker = workshop.start_worker(&[]);
    workshop.watch("b").end().expect_code(0);
    let jobs = workshop.ask(&["status b --jobs"])["jobs"].clone();
    let job = jobs[0]["job"].as_str().expect("an id");
    let (result, mark) = (format!("results/{job}.json"), format!("started/{job}.json"));
    wait_until("the worker has let go", || workshop.object(&mark).is_none());

    workshop.remove(&result);
    assert_eq!(workshop.ask(&[submit, QUICK])["accepted"], 1);
    workshop.watch("b").end().expect_code(0);

    let garbage = workshop.scene.path("garbage");
    fs::write(&garbage, "{").expect("writes");
    workshop.put(&result, &garbage);
    let damaged = workshop.watch("b").end().expect_code(1);
    let reason = damaged.events_of("failed")[0]["reason"].to_string();
    assert!(
        reason.contains("is damaged") && reason.contains(&result),
        "{reason}"
    );
    assert_eq!(workshop.ask(&[submit, QUICK, "--again"])["accepted"], 1);
    wait_until("it is made again", || {
        workshop
            .object(&result)
            .is_some_and(|bytes| bytes.len() > 100)
    });
    workshop.watch("b").end().expect_code(0);
}

#[test]
fn a_worker_with_another_store_leaves_jobs_to_others() {
    let services = Services::shared();
    let workshop = Workshop::new(services);
    let elsewhere = services.fleet();
    let submit = ["submit boat.png car.png --style wave.png --batch b", QUICK];
    workshop.ask(&submit);
    // The other store is one that is in use, and has done the same before.
    let mut theirs = workshop.command(&submit);
    theirs.env("STYLEFLEET_STORE", &elsewhere.store);
    theirs.env("STYLEFLEET_BROKER", &elsewhere.broker);
    Run::start(theirs).end().expect_code(0);

    let mut stranger = workshop.start_worker(&[("STYLEFLEET_STORE", &elsewhere.store)]);
    let refusal = stranger.wait_for_line("is not taken");
    assert!(refusal.contains("STYLEFLEET_STORE"), "{refusal}");
    wait_until("the doctor knows", || {
        problems(&workshop)
            .iter()
            .any(|problem| problem.contains("has another store"))
    });
    assert_eq!(workshop.ask(&["status b"])["states"]["waiting"], 2);

    let _worker = workshop.start_worker(&[]);
    let watched = workshop.watch("b").end().expect_code(0);
    assert_eq!(watched.events_of("finished").len(), 2);
    wait_until("nothing waits", || {
        workshop.ask(&["queue"])["waiting"]["normal"] == 0
    });
}

#[test]
fn one_damaged_batch_does_not_hide_the_others() {
    let workshop = Workshop::new(Services::shared());
    workshop.ask(&["submit boat.png --style wave.png --batch good", QUICK]);
    let garbage = workshop.scene.path("garbage");
    fs::write(&garbage, "{\"batch\":").expect("writes");
    workshop.put("batches/bad/1.manifest.json", &garbage);
    for args in ["status", "status --all"] {
        let ended = workshop.start(&[args]).end().expect_code(1);
        let listed: Value = serde_json::from_str(&ended.stdout.concat()).expect("JSON");
        assert_eq!(listed["batches"][0]["batch"], "good", "{listed}");
        assert_eq!(listed["damaged"][0]["batch"], "bad", "{listed}");
        let reason = listed["damaged"][0]["reason"].to_string();
        assert!(reason.contains("1.manifest.json"), "{reason}");
    }
}
