//! HEIC and AVIF files, by libheif: a library of the system, which is loaded when the first such
//! file is read. Neither the build nor a machine that never sees such a file needs it.
#![expect(unsafe_code, reason = "libheif is written in C++")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

use ::image::metadata::Orientation;
use ::image::{DynamicImage, ImageBuffer};
use libloading::Library;
use stylefleet_formats::Kind;

use super::coded::largest;
use super::decode::{Stored, damaged, measured};
use super::profile::Profile;
use crate::Cause;

const LIBRARY: &str = "libheif.so.1";

/// An object of libheif's.
type Object = *mut c_void;

/// `heif_error`: a code of 0 is success. The message lives as long as the context.
#[repr(C)]
struct Status {
    code: c_int,
    _subcode: c_int,
    message: *const c_char,
}

/// `heif_error_Unsupported_filetype`, `heif_error_Unsupported_feature`.
const UNSUPPORTED: [c_int; 2] = [3, 4];

/// The beginning of `heif_color_profile_nclx`.
#[repr(C)]
struct CodePoints {
    _version: u8,
    primaries: c_int,
    transfer: c_int,
}

/// `heif_colorspace_RGB`.
const RGB: c_int = 1;
/// `heif_channel_interleaved`.
const INTERLEAVED: c_int = 10;

/// Declares the functions of libheif that are used, by their names there without `heif_`.
macro_rules! functions {
    ($($name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions of libheif that are used: see its `heif.h`.
        struct Heif {
            $($name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
            _library: Library,
        }

        impl Heif {
            fn open() -> Result<Self, libloading::Error> {
                // SAFETY: libheif's initialisers have no preconditions, and the functions are
                // declared as in heif.h, which does not change them within a major version.
                unsafe {
                    let library = Library::new(LIBRARY)?;
                    Ok(Self {
                        $($name: *library.get(concat!("heif_", stringify!($name)))?,)*
                        _library: library,
                    })
                }
            }
        }
    };
}

functions! {
    context_alloc: fn() -> Object;
    context_free: fn(Object);
    context_set_maximum_image_size_limit: fn(Object, c_int);
    context_read_from_memory_without_copy:
        fn(Object, *const c_void, usize, *const c_void) -> Status;
    context_get_primary_image_handle: fn(Object, *mut Object) -> Status;
    image_handle_release: fn(Object);
    image_handle_get_width: fn(Object) -> c_int;
    image_handle_get_height: fn(Object) -> c_int;
    image_handle_has_alpha_channel: fn(Object) -> c_int;
    image_handle_get_luma_bits_per_pixel: fn(Object) -> c_int;
    image_handle_get_raw_color_profile_size: fn(Object) -> usize;
    image_handle_get_raw_color_profile: fn(Object, *mut c_void) -> Status;
    image_handle_get_nclx_color_profile: fn(Object, *mut *mut CodePoints) -> Status;
    nclx_color_profile_free: fn(*mut CodePoints);
    decode_image: fn(Object, *mut Object, c_int, c_int, *const c_void) -> Status;
    image_release: fn(Object);
    image_get_width: fn(Object, c_int) -> c_int;
    image_get_height: fn(Object, c_int) -> c_int;
    image_get_bits_per_pixel_range: fn(Object, c_int) -> c_int;
    image_get_plane_readonly: fn(Object, c_int, *mut c_int) -> *const u8;
}

static HEIF: OnceLock<Result<Heif, libloading::Error>> = OnceLock::new();

pub(super) fn read(kind: Kind, bytes: &[u8], max_pixels: u64) -> Result<Stored, Cause> {
    let heif = HEIF.get_or_init(Heif::open).as_ref().map_err(|e| {
        let words = format!(
            "is {kind}, for which libheif is needed on the worker: apt-get install libheif1 ({e})"
        );
        Cause::new(words, e)
    })?;
    // The side of the largest square that may be coded: in blocks and tiles, it is a little larger.
    let side = max_pixels.isqrt() + 1024;
    let file = File::open(heif, kind, bytes, side)?;
    let size = file.size()?;
    measured(size, max_pixels)?;
    if largest(kind, bytes) > side * side {
        return Err(damaged("more is coded in it than its size"));
    }
    Ok(Stored {
        profile: file.profile()?,
        pixels: file.decode(size)?,
        // libheif turns it as the container says. EXIF, which may say the same, is ignored.
        orientation: Orientation::NoTransforms,
        notes: Vec::new(),
    })
}

/// A file whose headers were read, and its primary picture.
struct File<'a> {
    heif: &'a Heif,
    kind: Kind,
    context: Object,
    picture: Object,
    _bytes: &'a [u8],
}

// SAFETY of all calls below: `context` and `picture` come from libheif and live until the drop,
// `_bytes` are borrowed as long; pointers to results are to locals of the declared type.
impl<'a> File<'a> {
    fn open(heif: &'a Heif, kind: Kind, bytes: &'a [u8], side: u64) -> Result<Self, Cause> {
        let mut file = Self {
            heif,
            kind,
            // SAFETY: see above.
            context: unsafe { (heif.context_alloc)() },
            picture: null_mut(),
            _bytes: bytes,
        };
        if file.context.is_null() {
            return Err("is not read: libheif has no memory left".into());
        }
        let side = c_int::try_from(side).unwrap_or(c_int::MAX);
        // SAFETY: see above.
        file.expect(unsafe {
            (heif.context_set_maximum_image_size_limit)(file.context, side);
            let start = bytes.as_ptr().cast();
            (heif.context_read_from_memory_without_copy)(file.context, start, bytes.len(), null())
        })?;
        let mut picture = null_mut();
        // SAFETY: see above.
        let found = unsafe { (heif.context_get_primary_image_handle)(file.context, &mut picture) };
        file.expect(found)?;
        file.picture = picture;
        Ok(file)
    }

    /// Width and height, once turned.
    fn size(&self) -> Result<[u32; 2], Cause> {
        // SAFETY: see above.
        let size = unsafe {
            [
                (self.heif.image_handle_get_width)(self.picture),
                (self.heif.image_handle_get_height)(self.picture),
            ]
        };
        let [width, height] = size.map(u32::try_from);
        width
            .and_then(|width| Ok([width, height?]))
            .map_err(|e| damaged(Cause::new("it does not say its size", e)))
    }

    /// The ICC profile, or else what the container says in code points.
    fn profile(&self) -> Result<Option<Profile>, Cause> {
        // SAFETY: see above; the profile's buffer is as long as libheif says.
        unsafe {
            let length = (self.heif.image_handle_get_raw_color_profile_size)(self.picture);
            if length > 0 {
                let mut icc = vec![0_u8; length];
                let start = icc.as_mut_ptr().cast();
                self.expect((self.heif.image_handle_get_raw_color_profile)(
                    self.picture,
                    start,
                ))?;
                return Ok(Some(Profile::Icc(icc)));
            }
            let mut codes: *mut CodePoints = null_mut();
            let found = (self.heif.image_handle_get_nclx_color_profile)(self.picture, &mut codes);
            if found.code != 0 || codes.is_null() {
                return Ok(None);
            }
            let [primaries, transfer] = [(*codes).primaries, (*codes).transfer];
            (self.heif.nclx_color_profile_free)(codes);
            let code = |value: c_int| u8::try_from(value).unwrap_or(0);
            Ok(Profile::coded(code(primaries), code(transfer)))
        }
    }

    fn decode(&self, size: [u32; 2]) -> Result<DynamicImage, Cause> {
        // SAFETY: see above.
        let (has_alpha, bits) = unsafe {
            (
                (self.heif.image_handle_has_alpha_channel)(self.picture) != 0,
                (self.heif.image_handle_get_luma_bits_per_pixel)(self.picture),
            )
        };
        // heif_chroma_interleaved_RGB, _RGBA, _RRGGBB_LE, _RRGGBBAA_LE.
        let layout = match (bits > 8, has_alpha) {
            (false, false) => 10,
            (false, true) => 11,
            (true, false) => 14,
            (true, true) => 15,
        };
        let mut pixels = Pixels {
            heif: self.heif,
            image: null_mut(),
        };
        // SAFETY: see above.
        self.expect(unsafe {
            (self.heif.decode_image)(self.picture, &mut pixels.image, RGB, layout, null())
        })?;
        let [width, height] = size;
        let channels = if has_alpha { 4 } else { 3 };
        let decoded = if bits > 8 {
            let values = pixels.deep(size, channels);
            values.and_then(|values| {
                if has_alpha {
                    ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageRgba16)
                } else {
                    ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageRgb16)
                }
            })
        } else {
            let values = pixels.rows(size, channels).map(|rows| rows.concat());
            values.and_then(|values| {
                if has_alpha {
                    ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageRgba8)
                } else {
                    ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageRgb8)
                }
            })
        };
        decoded.ok_or_else(|| damaged("its picture is of another size than it says"))
    }

    /// An error in libheif's words, unless the call succeeded.
    fn expect(&self, status: Status) -> Result<(), Cause> {
        if status.code == 0 {
            return Ok(());
        }
        let message = if status.message.is_null() {
            "libheif gives no reason".into()
        } else {
            // SAFETY: messages are strings that live as long as the context.
            unsafe { CStr::from_ptr(status.message) }.to_string_lossy()
        };
        if UNSUPPORTED.contains(&status.code) {
            let kind = self.kind;
            return Err(format!(
                "is {kind} of a sort that this libheif does not read ({message}): save it as PNG"
            )
            .into());
        }
        Err(damaged(message.trim()))
    }
}

impl Drop for File<'_> {
    fn drop(&mut self) {
        // SAFETY: both are libheif's, and nothing else refers to them.
        unsafe {
            if !self.picture.is_null() {
                (self.heif.image_handle_release)(self.picture);
            }
            if !self.context.is_null() {
                (self.heif.context_free)(self.context);
            }
        }
    }
}

/// A decoded picture, R, G, B and perhaps alpha beside each other.
struct Pixels<'a> {
    heif: &'a Heif,
    image: Object,
}

impl Pixels<'_> {
    /// Each row's bytes, if the picture is of that size.
    fn rows(&self, [width, height]: [u32; 2], bytes: usize) -> Option<Vec<&[u8]>> {
        let mut stride = 0;
        // SAFETY: the image is libheif's, and it lives until the drop.
        let (found, start) = unsafe {
            (
                [
                    (self.heif.image_get_width)(self.image, INTERLEAVED),
                    (self.heif.image_get_height)(self.image, INTERLEAVED),
                ],
                (self.heif.image_get_plane_readonly)(self.image, INTERLEAVED, &mut stride),
            )
        };
        let stride = usize::try_from(stride).ok()?;
        let length = width as usize * bytes;
        if found.map(u32::try_from) != [Ok(width), Ok(height)] || start.is_null() || stride < length
        {
            return None;
        }
        // SAFETY: such a plane has `height` rows, `stride` bytes apart, of that many pixels each.
        let row = |y| unsafe { std::slice::from_raw_parts(start.add(y * stride), length) };
        Some((0..height as usize).map(row).collect())
    }

    /// Values of more than 8 bits, in 16.
    fn deep(&self, size: [u32; 2], channels: usize) -> Option<Vec<u16>> {
        // SAFETY: as in `rows`.
        let bits = unsafe { (self.heif.image_get_bits_per_pixel_range)(self.image, INTERLEAVED) };
        let most = (1_u32
            << u32::try_from(bits)
                .ok()
                .filter(|bits| (9..=16).contains(bits))?)
            - 1;
        let rows = self.rows(size, 2 * channels)?;
        let mut values = Vec::with_capacity(size[0] as usize * size[1] as usize * channels);
        for pair in rows.iter().flat_map(|row| row.as_chunks().0) {
            let value = u32::from(u16::from_le_bytes(*pair)).min(most);
            values.push(((value * 65535 + most / 2) / most) as u16);
        }
        Some(values)
    }
}

impl Drop for Pixels<'_> {
    fn drop(&mut self) {
        if !self.image.is_null() {
            // SAFETY: it is libheif's, and nothing else refers to it.
            unsafe { (self.heif.image_release)(self.image) };
        }
    }
}
