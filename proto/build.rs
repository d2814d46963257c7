//! Compiles `stylefleet.proto` with protox, so that no `protoc` need be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=stylefleet.proto");
    let descriptors = protox::compile(["stylefleet.proto"], ["."])?;
    let mut config = prost_build::Config::new();
    for name in [
        "Network",
        "Means",
        "Pooling",
        "ContentLoss",
        "StyleLoss",
        "TotalVariation",
        "Colors",
        "Optimizer",
        "Precision",
        "Format",
    ] {
        // These enums serve the domain types too, where people read them as words.
        config.enum_attribute(name, "#[derive(serde::Serialize, serde::Deserialize)]");
        config.enum_attribute(name, "#[serde(rename_all = \"kebab-case\")]");
    }
    config.compile_fds(descriptors)?;
    Ok(())
}
