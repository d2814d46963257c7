//! The device to compute on.

use sysinfo::System;
use tch::{Device, Tensor};

use crate::{Cause, Error, cuda};

/// Reads `auto`, `cpu`, `cuda` or `cuda:N`. A device that is asked for by name must be there; only
/// `auto` chooses.
pub(crate) fn resolve(asked: &str) -> Result<Device, Error> {
    let refuse = |reason: Cause| Error::Device {
        device: asked.to_owned(),
        reason,
    };
    let index: usize = match asked {
        "cpu" => return Ok(Device::Cpu),
        "auto" if !cuda::has_driver() => return Ok(Device::Cpu),
        "auto" | "cuda" => 0,
        other => other
            .strip_prefix("cuda:")
            .and_then(|n| n.parse().ok())
            .ok_or_else(|| refuse("is none of auto, cpu, cuda:N".into()))?,
    };
    if let Err(reason) = cuda::load()
        && asked != "auto"
    {
        let words = format!("{reason}, or choose --device cpu");
        return Err(refuse(Cause::new(words, reason)));
    }
    match cuda::devices() {
        0 if asked == "auto" => Ok(Device::Cpu),
        0 => {
            let reason = cuda::why_no_device();
            let words = format!(
                "no CUDA device here ({reason}): check the driver with nvidia-smi, or choose \
                 --device cpu"
            );
            Err(refuse(reason.in_words(words)))
        }
        devices if index < devices as usize => Ok(Device::Cuda(index)),
        devices => {
            let reason = format!("there are {devices} CUDA devices here, counted from 0");
            Err(refuse(reason.into()))
        }
    }
}

/// The name that [`resolve`] reads.
pub(crate) fn name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    }
}

/// A copy on `device`; a tensor that is there already is shared. Copies to a GPU go through
/// page-locked memory: the host does not wait for them.
pub(crate) fn upload(tensor: &Tensor, device: Device) -> Result<Tensor, Error> {
    if tensor.device() == device {
        return Ok(tensor.shallow_clone());
    }
    // `pin_memory` calls this too, but warns of the device that tch passes to it.
    Ok(match tensor.f_internal_pin_memory(device) {
        Ok(pinned) => pinned.f_to_device_(device, tensor.f_kind()?, true, false)?,
        // Only so much memory can be locked.
        Err(_) => tensor.f_to_device(device)?,
    })
}

/// Bytes that a job on `device` may take if no setting says so: a part of the machine's, or of the
/// container's. Unknown for a GPU: tch does not report its memory.
pub(crate) fn memory(device: Device) -> Option<u64> {
    if device != Device::Cpu {
        return None;
    }
    // Of the total, not of what is free now: the same job has to give the same result.
    Some(machine_memory()? / 4 * 3)
}

/// Memory of a device, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceMemory {
    /// What is taken: of a GPU by anybody, of a machine by this process.
    pub used: u64,
    /// What there is: the GPU's, the machine's, or the container's.
    pub size: u64,
}

impl DeviceMemory {
    /// How the memory of that device stands, if it can be told. The name is a
    /// [`Description`](crate::Description)'s. A GPU's driver may take a moment to answer.
    pub fn of(device: &str) -> Option<Self> {
        if let Some(index) = device.strip_prefix("cuda:") {
            return cuda::memory(index.parse().ok()?);
        }
        Some(Self {
            used: resident()?,
            size: machine_memory()?,
        })
    }
}

/// Bytes of memory that this process has.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kib << 10)
}

/// Bytes of memory of this machine, or of the container.
fn machine_memory() -> Option<u64> {
    let mut system = System::new().ok()?;
    system.refresh_memory();
    let container = system.cgroup_limits().map(|limits| limits.total_memory);
    Some(container.unwrap_or(u64::MAX).min(system.total_memory()))
}

/// The vector instructions that libtorch's kernels can use on this CPU.
pub(crate) fn cpu_capability() -> String {
    #[cfg(target_arch = "x86_64")]
    {
        let features = [
            ("AVX2", is_x86_feature_detected!("avx2")),
            ("AVX-512", is_x86_feature_detected!("avx512f")),
            ("AVX-512 BF16", is_x86_feature_detected!("avx512bf16")),
        ];
        let present: Vec<&str> = features.iter().filter(|f| f.1).map(|f| f.0).collect();
        if !present.is_empty() {
            return present.join(", ");
        }
    }
    std::env::consts::ARCH.to_owned()
}

/// Whether the CPU multiplies faster in bf16 than in 32 bits: AMD's do, at twice the rate, if they
/// have instructions for it; Intel's take twice the time without AMX, which a hypervisor may hide.
pub(crate) fn cpu_gains_in_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{__cpuid, __cpuid_count};
        const AMX_BF16: u32 = 1 << 22;
        // GenuineIntel.
        let is_intel = __cpuid(0).ebx.to_le_bytes() == *b"Genu";
        let has_amx = __cpuid_count(7, 0).edx & AMX_BF16 != 0;
        is_x86_feature_detected!("avx512bf16") && (has_amx || !is_intel)
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_what_it_has_written_to() {
        // Other tests of this process take memory and give it back meanwhile: only what this one
        // holds is certain.
        let held = std::hint::black_box(vec![1u8; 256 << 20]);
        let memory = DeviceMemory::of("cpu").expect("is told");
        let least = held.len() as u64;
        assert!((least..memory.size).contains(&memory.used), "{memory:?}");
        std::hint::black_box(held);
    }

    #[test]
    fn what_is_no_device_has_no_memory() {
        assert_eq!(DeviceMemory::of("cuda:x"), None);
    }
}
