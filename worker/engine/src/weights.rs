//! Reads the weights of the network's convolutions, which also say which network it is.
//!
//! This is a part of what people wait for at the start of every run: the file is mapped, not read,
//! and arranged without libtorch, which copies it several times to do so (BENCHMARKS.md).

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::panic::resume_unwind;
use std::path::Path;
use std::slice::from_raw_parts_mut;
use std::thread;

use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};
use tch::{Device, Kind, TchError, Tensor};

use stylefleet_model::stylize::{Layer, Network};

use crate::{Cause, Error};

/// The file that `deploy/setup/setup.sh` leaves in the cache folder; the digits in its name begin
/// its SHA-256.
pub const SETUP_FILE: &str = "vgg19-d53e7d51.safetensors";

/// What a file holds.
#[derive(Debug)]
pub(crate) struct Weights {
    pub network: Network,
    /// The network's convolutions, from the picture inwards.
    pub convolutions: Vec<Convolution>,
    /// Of the file, in hexadecimal.
    pub sha256: String,
}

/// Weight and bias of one convolution, 32-bit, on the CPU.
#[derive(Debug)]
pub(crate) struct Convolution {
    pub layer: Layer,
    /// `[out, in, 3, 3]`, laid out with the channels innermost.
    pub weight: Tensor,
    /// `[out]`
    pub bias: Tensor,
}

/// Channels that leave each of the five blocks' convolutions.
const CHANNELS: [i64; 5] = [64, 128, 256, 512, 512];

/// Reads a safetensors file with `convB_C.weight` and `convB_C.bias` for an input of B, G, R in 0
/// to 255, means subtracted.
pub(crate) fn read(path: &Path) -> Result<Weights, Error> {
    let refuse = |reason: Cause| Error::Weights {
        path: path.display().to_string(),
        reason,
    };
    let bytes = mapped(path).map_err(|e| {
        let words = format!("{e}: run `make setup`, or name the file with --weights");
        refuse(Cause::new(words, e))
    })?;
    // The checksum takes as long as all the rest.
    let (sha256, parsed) = thread::scope(|scope| {
        let sha256 = scope.spawn(|| hex::encode(Sha256::digest(&bytes)));
        let parsed = parse(&bytes);
        let sha256 = sha256.join().unwrap_or_else(|panic| resume_unwind(panic));
        (sha256, parsed)
    });
    if let Some(named) = checksum_in_name(path).filter(|named| !sha256.starts_with(named)) {
        let reason = format!(
            "its name says that its SHA-256 begins with {named}, but it is {sha256}: it is \
             damaged, remove it and run `make setup`"
        );
        return Err(refuse(reason.into()));
    }
    let (network, convolutions) = parsed.map_err(refuse)?;
    Ok(Weights {
        network,
        convolutions,
        sha256,
    })
}

#[expect(
    unsafe_code,
    reason = "nothing keeps others from writing to a file that is mapped"
)]
fn mapped(path: &Path) -> io::Result<Mmap> {
    // SAFETY: the file is only mapped while it is read. Set-up and workers put it in its place by
    // renaming it; whoever writes to it in place at that moment breaks it for its readers anyway.
    unsafe { Mmap::map(&File::open(path)?) }
}

/// The network that the file's bytes are of, and its convolutions.
fn parse(bytes: &[u8]) -> Result<(Network, Vec<Convolution>), Cause> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| {
        let words = format!("is not a safetensors file ({e}): run `make setup`");
        Cause::new(words, e)
    })?;
    let network = network_of(&file)?;
    let mut channels_in = 3;
    let mut convolutions = Vec::with_capacity(Layer::COUNT);
    for layer in Layer::all().filter(|layer| layer.is_of(network)) {
        let channels = CHANNELS[usize::from(layer.place().0) - 1];
        convolutions.push(Convolution {
            layer,
            weight: weight(&file, layer, [channels, channels_in])?,
            bias: bias(&file, layer, channels)?,
        });
        channels_in = channels;
    }
    Ok((network, convolutions))
}

/// VGG19 if all the layers are there that VGG16 lacks, VGG16 if none of them is.
fn network_of(file: &SafeTensors<'_>) -> Result<Network, String> {
    let is_there = |layer: &Layer| {
        let part = |part| file.tensor(&format!("{layer}.{part}"));
        part("weight").is_ok() || part("bias").is_ok()
    };
    let of_vgg19 = Layer::all().filter(|layer| !layer.is_of(Network::Vgg16));
    let (there, missing): (Vec<_>, Vec<_>) = of_vgg19.partition(is_there);
    match (&there[..], &missing[..]) {
        (_, []) => Ok(Network::Vgg19),
        ([], _) => Ok(Network::Vgg16),
        ([there, ..], [missing, ..]) => Err(format!(
            "has {there} but no {missing}: VGG19 has both and VGG16 has neither: convert it with \
             deploy/setup/weights.py"
        )),
    }
}

/// The checksum in the name of set-up's file, [`SETUP_FILE`].
fn checksum_in_name(path: &Path) -> Option<&'static str> {
    (path.file_name()? == SETUP_FILE).then_some("d53e7d51")
}

fn weight(file: &SafeTensors<'_>, layer: Layer, channels: [i64; 2]) -> Result<Tensor, Cause> {
    let name = format!("{layer}.weight");
    let [channels_out, channels_in] = channels;
    let (kernels, _) = numbers(file, &name, &[channels_out, channels_in, 3, 3])?.as_chunks();
    let size = [channels_out, 3, 3, channels_in];
    let weight = written(&size, |values| {
        let channels_in = channels_in as usize;
        let filters = values.chunks_exact_mut(9 * channels_in);
        for (kernels, values) in kernels.chunks_exact(channels_in).zip(filters) {
            for (place, values) in values.chunks_exact_mut(channels_in).enumerate() {
                copy(kernels.iter().map(|kernel: &[_; 9]| kernel[place]), values);
            }
        }
    });
    weight
        .and_then(|weight| weight.f_permute([0, 3, 1, 2]))
        .map_err(|e| Cause::new(format!("{name}: {e}"), e))
}

fn bias(file: &SafeTensors<'_>, layer: Layer, channels: i64) -> Result<Tensor, Cause> {
    let name = format!("{layer}.bias");
    let numbers = numbers(file, &name, &[channels])?;
    written(&[channels], |values| copy(numbers.iter().copied(), values))
        .map_err(|e| Cause::new(format!("{name}: {e}"), e))
}

/// The numbers of a tensor of that shape, all of them finite.
fn numbers<'a>(file: &SafeTensors<'a>, name: &str, shape: &[i64]) -> Result<&'a [[u8; 4]], Cause> {
    let view = file.tensor(name).map_err(|e| {
        let words = format!("has no {name}: convert it with deploy/setup/weights.py");
        Cause::new(words, e)
    })?;
    let found: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
    if view.dtype() != Dtype::F32 || found != shape {
        return Err(format!(
            "{name} is {:?} {found:?}, must be F32 {shape:?}: it is neither VGG19's nor \
             VGG16's",
            view.dtype()
        )
        .into());
    }
    let (numbers, _) = view.data().as_chunks();
    if !are_finite(numbers) {
        return Err(format!(
            "{name} has values that are not finite: the file is damaged, run `make setup`"
        )
        .into());
    }
    Ok(numbers)
}

fn are_finite(numbers: &[[u8; 4]]) -> bool {
    // To the end, unlike `all`, so that the compiler can look at several at once.
    let finite = |number: &[u8; 4]| f32::from_le_bytes(*number).is_finite();
    numbers
        .iter()
        .fold(true, |all, number| all & finite(number))
}

fn copy(numbers: impl Iterator<Item = [u8; 4]>, values: &mut [MaybeUninit<f32>]) {
    for (number, value) in numbers.zip(values) {
        value.write(f32::from_le_bytes(number));
    }
}

/// A tensor of 32-bit numbers on the CPU, each of which `write` must write.
#[expect(
    unsafe_code,
    reason = "tch makes tensors of zeros, and copies into them"
)]
fn written(size: &[i64], write: impl FnOnce(&mut [MaybeUninit<f32>])) -> Result<Tensor, TchError> {
    let tensor = Tensor::f_empty(size, (Kind::Float, Device::Cpu))?;
    // SAFETY: a new tensor is one piece of memory with so many numbers, and only this function
    // knows it.
    let values = unsafe { from_raw_parts_mut(tensor.data_ptr().cast(), tensor.numel()) };
    write(values);
    Ok(tensor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{NOT_IN_VGG16, weights_without};

    #[test]
    fn a_damaged_file_is_recognised_by_the_checksum_in_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let damaged = folder.path().join(SETUP_FILE);
        let mut bytes = std::fs::read(crate::golden::weights()).expect("is there");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&damaged, bytes).expect("writes");
        let refused = read(&damaged).expect_err("is damaged").to_string();
        assert!(
            refused.contains("SHA-256 begins with d53e7d51"),
            "{refused}"
        );
    }

    #[test]
    fn values_that_are_not_finite_are_refused() {
        for value in [f32::NAN, f32::NEG_INFINITY] {
            let folder = tempfile::tempdir().expect("a folder");
            let file = weights_without(&[], folder.path());
            let mut bytes = std::fs::read(&file).expect("is there");
            let last = bytes.len() - 4;
            bytes[last..].copy_from_slice(&value.to_le_bytes());
            std::fs::write(&file, bytes).expect("writes");
            let refused = read(&file).expect_err("is damaged").to_string();
            assert!(refused.contains("values that are not finite"), "{refused}");
        }
    }

    #[test]
    fn what_is_neither_network_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let without = |dropped: &[&str]| read(&weights_without(dropped, folder.path()));
        let network = |dropped| without(dropped).expect("reads").network;
        assert_eq!(network(&[]), Network::Vgg19);
        assert_eq!(network(&NOT_IN_VGG16), Network::Vgg16);
        for (dropped, reason) in [
            (&["conv4_4"][..], "has conv3_4 but no conv4_4"),
            (&["conv3_4", "conv5_4"], "has conv4_4 but no conv3_4"),
            (
                &["conv3_4", "conv4_4", "conv5_4.weight"],
                "has conv5_4 but no conv3_4",
            ),
            (&["conv5_4.bias"], "has no conv5_4.bias"),
            (&["conv3_3"], "has no conv3_3.weight"),
        ] {
            let refused = without(dropped).expect_err("is neither").to_string();
            assert!(refused.contains(reason), "{dropped:?}: {refused}");
        }
    }
}
