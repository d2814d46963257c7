//! In which order the frames of a chunk are made, and from what.

/// Frames before the next chunk's first over which a chunk is led to it.
const SEAM: usize = 8;

/// A frame to be made, once or again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Visit {
    /// Which frame, from 0.
    pub frame: usize,
    pub way: Way,
    pub stage: Stage,
}

/// What a frame is made from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Way {
    /// The picture alone.
    Alone,
    /// The frame before it, once that is made.
    After,
    /// Itself and a frame beside it, of which that counts this share, 0 to 1.
    Between { beside: usize, share: f64 },
}

/// What a visit is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stage {
    pub name: &'static str,
    /// How many visits of it were before this one.
    pub done: u64,
    /// How many it has.
    pub total: u64,
}

/// The visits to a chunk of `frames` frames, in so many passes: the first one forwards, then
/// backwards, then forwards again. If the last frame `is_shared`, it is the next chunk's first:
/// both make it from the picture alone, and so the same, and the frames before it lead to it.
pub(super) fn course(frames: usize, passes: u32, is_shared: bool) -> Vec<Visit> {
    let last = frames.saturating_sub(1);
    let is_shared = is_shared && last > 0;
    let mut visits = stage("first frame", [(0, Way::Alone)]);
    if is_shared {
        visits.extend(stage("last frame", [(last, Way::Alone)]));
    }
    // Those that are neither the first nor shared.
    let inner = 1..frames - usize::from(is_shared);
    visits.extend(stage(
        "frames",
        inner.clone().map(|frame| (frame, Way::After)),
    ));
    let between = |frame: usize, beside: usize, share: f64| {
        let way = Way::Between { beside, share };
        (beside < frames).then_some((frame, way))
    };
    for pass in 1..passes {
        let is_back = pass % 2 == 1;
        visits.extend(if is_back {
            let back = inner.clone().rev();
            stage(
                "back",
                back.filter_map(|frame| between(frame, frame + 1, 0.5)),
            )
        } else {
            let forth = inner.clone();
            stage(
                "forth",
                forth.filter_map(|frame| between(frame, frame - 1, 0.5)),
            )
        });
    }
    if is_shared {
        let seam = SEAM.min(inner.len());
        let lead = |away: usize| {
            let share = 1.0 - away as f64 / (seam + 1) as f64;
            between(last - away, last - away + 1, share)
        };
        visits.extend(stage("seam", (1..=seam).filter_map(lead)));
    }
    visits
}

fn stage(name: &'static str, frames: impl IntoIterator<Item = (usize, Way)>) -> Vec<Visit> {
    let frames: Vec<_> = frames.into_iter().collect();
    let total = frames.len() as u64;
    let visit = |(done, (frame, way))| Visit {
        frame,
        way,
        stage: Stage { name, done, total },
    };
    (0..).zip(frames).map(visit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(frames: usize, passes: u32, is_shared: bool) -> String {
        let visits = course(frames, passes, is_shared);
        let shown = visits.iter().map(|visit| match visit.way {
            Way::Alone => format!("{}!", visit.frame),
            Way::After => visit.frame.to_string(),
            Way::Between { beside, share } => format!("{}~{beside}*{share:.2}", visit.frame),
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn forwards_and_to_what_is_shared() {
        assert_eq!(shown(1, 1, false), "0!");
        assert_eq!(shown(1, 3, true), "0!");
        assert_eq!(shown(3, 1, false), "0! 1 2");
        assert_eq!(shown(2, 1, true), "0! 1!");
        assert_eq!(shown(4, 1, true), "0! 3! 1 2 2~3*0.67 1~2*0.33");
        let long = course(48, 1, true);
        assert_eq!(long.len(), 48 + SEAM);
        assert_eq!(long[55].frame, 39);
    }

    #[test]
    fn passes_go_back_and_forth() {
        assert_eq!(
            shown(4, 3, false),
            "0! 1 2 3 2~3*0.50 1~2*0.50 1~0*0.50 2~1*0.50 3~2*0.50"
        );
        let backwards = "0! 3! 1 2 2~3*0.50 1~2*0.50 2~3*0.67 1~2*0.33";
        assert_eq!(shown(4, 2, true), backwards);
    }

    #[test]
    fn what_a_frame_is_made_from_is_there() {
        for (frames, passes, is_shared) in
            [(1, 1, false), (2, 4, true), (9, 3, true), (30, 2, false)]
        {
            let mut made = vec![false; frames];
            for visit in course(frames, passes, is_shared) {
                match visit.way {
                    Way::Alone => {}
                    Way::After => assert!(made[visit.frame - 1] && !made[visit.frame]),
                    Way::Between { beside, share } => {
                        assert!(made[visit.frame] && made[beside]);
                        assert!((0.0..1.0).contains(&share));
                    }
                }
                made[visit.frame] = true;
            }
            assert!(made.into_iter().all(|made| made));
        }
    }
}
