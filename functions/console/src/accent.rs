//! The colour of a portal link's theme, as a style sheet. The colour is made darker on light pages
//! and lighter on dark ones, as far as it takes for text to be readable: a contrast of 4.5 to 1
//! (<https://www.w3.org/TR/WCAG22/#contrast-minimum>).

/// The least contrast of text.
const CONTRAST: f64 = 4.5;
/// The cards of dark pages, as in the style sheet.
const DARK_CARD: Colour = Colour([0x1b, 0x1e, 0x28]);
/// The background of light pages, as in the style sheet.
const LIGHT_PAGE: Colour = Colour([0xf6, 0xf7, 0xf9]);
const WHITE: Colour = Colour([0xff; 3]);
const NEARLY_BLACK: Colour = Colour([0x10, 0x14, 0x2a]);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Colour([u8; 3]);

/// The name of the style sheet for a colour such as `#36a64f`.
pub(crate) fn file_name(colour: &str) -> String {
    format!("accent-{}.css", colour.trim_start_matches('#'))
}

/// The style sheet with this name; none if the name has no colour in it.
pub(crate) fn style_sheet(name: &str) -> Option<String> {
    let hex = name.strip_prefix("accent-")?.strip_suffix(".css")?;
    let colour = Colour::parse(hex)?;
    let light = colour.towards(Colour([0; 3]), LIGHT_PAGE);
    let dark = colour.towards(WHITE, DARK_CARD);
    Some(format!(
        ":root{{--accent:{};--on-accent:{}}}\n\
         @media (prefers-color-scheme: dark){{:root{{--accent:{};--on-accent:{}}}}}\n",
        light.text(),
        light.on().text(),
        dark.text(),
        dark.on().text(),
    ))
}

impl Colour {
    fn parse(hex: &str) -> Option<Self> {
        let is_hex = hex.len() == 6 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u32::from_str_radix(hex, 16).ok().filter(|_| is_hex)?;
        let [_, red, green, blue] = number.to_be_bytes();
        Some(Self([red, green, blue]))
    }

    fn text(self) -> String {
        let Self([red, green, blue]) = self;
        format!("#{red:02x}{green:02x}{blue:02x}")
    }

    /// The first colour on the way to `end` that can be read on this background.
    fn towards(self, end: Self, background: Self) -> Self {
        let steps = (0..=20).map(|step| self.mixed(end, f64::from(step) / 20.0));
        let mut readable = steps.filter(|colour| colour.contrast(background) >= CONTRAST);
        readable.next().unwrap_or(end)
    }

    /// The colour of text on a button of this colour.
    fn on(self) -> Self {
        let candidates = [WHITE, NEARLY_BLACK];
        let best =
            candidates.into_iter().max_by(|a, b| self.contrast(*a).total_cmp(&self.contrast(*b)));
        best.unwrap_or(WHITE)
    }

    fn mixed(self, Self(end): Self, share: f64) -> Self {
        let Self(mut parts) = self;
        for (part, end) in parts.iter_mut().zip(end) {
            let mixed = f64::from(*part) * (1.0 - share) + f64::from(end) * share;
            *part = mixed.round().clamp(0.0, 255.0) as u8;
        }
        Self(parts)
    }

    /// The contrast of two colours, from 1 to 21: <https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio>.
    fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    fn luminance(self) -> f64 {
        let Self(parts) = self;
        let [red, green, blue] = parts.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_colour_makes_a_style_sheet_for_light_and_dark() {
        insta::assert_snapshot!(style_sheet(&file_name("#ffcc00")).unwrap());
        for other in ["accent-zzzzzz.css", "accent-36a64.css", "accent-+36a64.css", "console.css"] {
            assert_eq!(style_sheet(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn every_colour_can_be_read(parts: [u8; 3]) {
            let colour = Colour(parts);
            let light = colour.towards(Colour([0; 3]), LIGHT_PAGE);
            let dark = colour.towards(WHITE, DARK_CARD);
            prop_assert!(light.contrast(LIGHT_PAGE) >= CONTRAST && light.contrast(WHITE) >= CONTRAST);
            prop_assert!(dark.contrast(DARK_CARD) >= CONTRAST);
            prop_assert!(light.contrast(light.on()) >= CONTRAST);
            prop_assert!(dark.contrast(dark.on()) >= CONTRAST);
        }
    }
}
