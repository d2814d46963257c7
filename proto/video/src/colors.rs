//! How colours are coded: matrix, range, primaries and transfer.

use std::process::Command;

/// How the colours of a clip are coded. Names are those of ffmpeg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Colors {
    /// How red, green and blue became brightness and colour. As it is tagged; where it is not, as
    /// players assume.
    pub matrix: Matrix,
    /// Whether black is zero and white the largest value, rather than 16 and 235 of 255.
    pub full_range: bool,
    /// Which red, green and blue, if tagged.
    pub primaries: Option<&'static str>,
    /// How values become light, if tagged.
    pub transfer: Option<&'static str>,
}

/// How red, green and blue became brightness and colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matrix {
    /// They did not.
    Rgb,
    /// As in high definition.
    Bt709,
    /// As in standard definition with 625 lines.
    Bt470bg,
    /// As in standard definition with 525 lines.
    Smpte170m,
    /// As in early high definition.
    Smpte240m,
    /// As in ultra high definition.
    Bt2020,
}

impl Matrix {
    /// The name that options have for it.
    fn tag(self) -> &'static str {
        match self {
            Self::Rgb => "rgb",
            Self::Bt709 => "bt709",
            Self::Bt470bg => "bt470bg",
            Self::Smpte170m => "smpte170m",
            Self::Smpte240m => "smpte240m",
            Self::Bt2020 => "bt2020nc",
        }
    }

    /// The name that the filter `scale` has for it, if it has to do with that.
    fn scaler(self) -> Option<&'static str> {
        match self {
            Self::Rgb => None,
            Self::Bt709 => Some("bt709"),
            Self::Bt470bg | Self::Smpte170m => Some("bt601"),
            Self::Smpte240m => Some("smpte240m"),
            Self::Bt2020 => Some("bt2020"),
        }
    }
}

/// What `ffprobe` says of a stream's colours.
pub struct Tags<'a> {
    pub pixel_format: &'a str,
    pub size: [u32; 2],
    pub matrix: Option<&'a str>,
    pub range: Option<&'a str>,
    pub primaries: Option<&'a str>,
    pub transfer: Option<&'a str>,
}

impl Colors {
    /// As they are tagged, or else assumed. The name of the matrix if it is not read.
    pub(crate) fn of(tags: &Tags) -> Result<Self, String> {
        let rgb = [
            "rgb", "bgr", "gbr", "argb", "abgr", "pal8", "0rgb", "0bgr", "x2", "mono",
        ]
        .iter()
        .any(|name| tags.pixel_format.starts_with(name));
        let full = rgb
            || ["yuvj", "gray", "ya"]
                .iter()
                .any(|name| tags.pixel_format.starts_with(name));
        let matrix = match tags.matrix {
            _ if rgb => Matrix::Rgb,
            None | Some("unknown" | "reserved" | "gbr") => assumed(tags.size),
            Some("bt709") => Matrix::Bt709,
            Some("bt470bg") => Matrix::Bt470bg,
            Some("smpte170m" | "fcc") => Matrix::Smpte170m,
            Some("smpte240m") => Matrix::Smpte240m,
            Some("bt2020nc" | "bt2020c") => Matrix::Bt2020,
            Some(other) => return Err(other.into()),
        };
        Ok(Self {
            matrix,
            full_range: match tags.range {
                _ if rgb => true,
                Some("pc") => true,
                Some("tv") => false,
                _ => full,
            },
            primaries: known(&PRIMARIES, tags.primaries),
            transfer: known(&TRANSFERS, tags.transfer),
        })
    }

    /// The same, as a codec keeps them that has no red, green and blue.
    pub(crate) fn without_rgb(&self, size: [u32; 2]) -> Self {
        match self.matrix {
            Matrix::Rgb => Self {
                matrix: assumed(size),
                full_range: false,
                ..self.clone()
            },
            _ => self.clone(),
        }
    }

    /// The same, in red, green and blue.
    pub(crate) fn rgb(&self) -> Self {
        Self {
            matrix: Matrix::Rgb,
            full_range: true,
            ..self.clone()
        }
    }

    /// As JPEG keeps them.
    pub(crate) fn jpeg(&self) -> Self {
        Self {
            matrix: Matrix::Bt470bg,
            full_range: true,
            ..self.clone()
        }
    }

    /// The filter that makes red, green and blue of a clip's frames, scaled to the size.
    pub(crate) fn decode_filter(&self, [width, height]: [u32; 2]) -> String {
        let coded = self.scaler("in");
        format!("scale=w={width}:h={height}:{coded}:out_range=pc:flags={SCALER}")
    }

    /// The filter that codes red, green and blue.
    pub(crate) fn encode_filter(&self) -> String {
        format!("scale=in_range=pc:{}:flags={SCALER}", self.scaler("out"))
    }

    /// The options by which the filter `scale` knows these colours, `in` or `out`.
    fn scaler(&self, side: &str) -> String {
        let range = format!("{side}_range={}", self.range());
        match self.matrix.scaler() {
            Some(matrix) => format!("{side}_color_matrix={matrix}:{range}"),
            None => range,
        }
    }

    /// The filter that tags frames.
    pub(crate) fn tag_filter(&self) -> String {
        let matrix = match self.matrix {
            Matrix::Rgb => "gbr",
            other => other.tag(),
        };
        let mut filter = format!("setparams=range={}:colorspace={matrix}", self.range());
        for (option, value) in [
            ("color_primaries", self.primaries),
            ("color_trc", self.transfer),
        ] {
            if let Some(value) = value {
                filter.push_str(&format!(":{option}={value}"));
            }
        }
        filter
    }

    /// The options that tag a stream.
    pub(crate) fn tag(&self, command: &mut Command) {
        command.args([
            "-colorspace",
            self.matrix.tag(),
            "-color_range",
            self.range(),
        ]);
        if let Some(primaries) = self.primaries {
            command.args(["-color_primaries", primaries]);
        }
        if let Some(transfer) = self.transfer {
            // These two have older names as options.
            let option = match transfer {
                "bt470m" => "gamma22",
                "bt470bg" => "gamma28",
                other => other,
            };
            command.args(["-color_trc", option]);
        }
    }

    fn range(&self) -> &'static str {
        if self.full_range { "pc" } else { "tv" }
    }
}

/// Rounded as exactly as it can, and alike on every processor.
const SCALER: &str = "lanczos+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact";

/// What players assume where nothing is tagged.
fn assumed([width, height]: [u32; 2]) -> Matrix {
    if width >= 1280 || height > 576 {
        Matrix::Bt709
    } else if height == 576 {
        Matrix::Bt470bg
    } else {
        Matrix::Smpte170m
    }
}

fn known(names: &[&'static str], tag: Option<&str>) -> Option<&'static str> {
    names.iter().copied().find(|name| Some(*name) == tag)
}

const PRIMARIES: [&str; 11] = [
    "bt709",
    "bt470m",
    "bt470bg",
    "smpte170m",
    "smpte240m",
    "film",
    "bt2020",
    "smpte428",
    "smpte431",
    "smpte432",
    "ebu3213",
];

const TRANSFERS: [&str; 16] = [
    "bt709",
    "bt470m",
    "bt470bg",
    "smpte170m",
    "smpte240m",
    "linear",
    "log100",
    "log316",
    "iec61966-2-4",
    "bt1361e",
    "iec61966-2-1",
    "bt2020-10",
    "bt2020-12",
    "smpte2084",
    "smpte428",
    "arib-std-b67",
];
