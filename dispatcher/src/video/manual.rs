//! What follows the options in the long help of `video` and `submit-video`.

/// Of `video`.
pub const VIDEO: &str = "\
Examples:
  A clip in the style of a painting, frame by frame, held together by optical flow:
    stylefleet video clip.mp4 --style starry_night.jpg --out styled.mp4
  The same by a trained network, far faster:
    stylefleet video clip.mp4 --model night.safetensors --out styled.mp4
  Ten seconds of it, smaller, in 10 bits:
    stylefleet video clip.mp4 --style starry_night.jpg --from 60 --to 70 --size 640 \\
        --codec hevc --depth 10 --out styled.mkv
  Numbered images in and out:
    stylefleet video 'frames/%05d.png' --style starry_night.jpg --out 'styled/%05d.png'

The clip is read and written by ffmpeg, which has to be installed. Frames keep their time stamps,
sound and subtitles are carried over. --size is the clip's own unless given. Most codecs want even
sides: odd ones are made one pixel larger.

Events (--json) are those of `stylefleet run`, and two more: \"video\" says how many frames are
\"done\" of its \"total\", by how many \"workers\", and \"seconds_left\"; \
\"assembled\" names the file.

Exit codes: 0 all done, 1 some failed, 2 wrong usage, 130 interrupted.";

/// Of `submit-video`.
pub const SUBMIT: &str = "\
Examples:
  Cut a clip into chunks, let the fleet redraw them, and join them here:
    stylefleet submit-video film.mp4 --style starry_night.jpg --batch film \\
        --wait --out film.styled.mp4
  The same in two steps; the second one joins what there is so far:
    stylefleet submit-video film.mp4 --style starry_night.jpg --batch film
    stylefleet fetch-video film --out film.styled.mp4

Each chunk is a job; `stylefleet status`, `watch`, `cancel` and `dead` work as for pictures.
`stylefleet video --help` explains the options.

Exit codes: 0 all done, 1 some failed, 2 wrong usage, 130 interrupted.";
