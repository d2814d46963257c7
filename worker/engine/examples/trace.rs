//! dev
use stylefleet_engine::*;
struct O(std::time::Instant, u32);
impl Observer for O {
    fn noted(&mut self, n: &str) {
        eprintln!("{n}");
    }
    fn evaluated(&mut self, p: &Progress) -> Control {
        if p.evaluation % self.1 == 0 || p.evaluation == 1 {
            println!(
                "{:7.2}s {}x{} {:4} {:.5e}",
                self.0.elapsed().as_secs_f64(),
                p.width,
                p.height,
                p.evaluation,
                p.loss
            );
        }
        Control::Continue
    }
    fn accepted(&mut self, _c: &dyn Fn() -> Result<Vec<u8>, Error>) {}
}
fn lw(v: &[(u8, u8, f64)]) -> Vec<LayerWeight> {
    v.iter()
        .map(|&(b, c, w)| LayerWeight {
            layer: Layer::new(b, c).unwrap(),
            weight: w,
        })
        .collect()
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let arg = |k: &str, d: &str| {
        a.iter()
            .position(|x| x == k)
            .map(|i| a[i + 1].clone())
            .unwrap_or(d.to_string())
    };
    let src = |p: &str| Source {
        name: p.into(),
        bytes: std::fs::read(p).unwrap(),
    };
    let notebook = Objective {
        means: Means::Swapped,
        pooling: Pooling::Max,
        content_layers: vec![],
        content_loss: ContentLoss::HalfSum,
        content_weight: 0.,
        style_layers: lw(&[
            (1, 2, 0.2),
            (2, 2, 0.2),
            (3, 4, 0.2),
            (4, 4, 0.2),
            (5, 4, 0.2),
        ]),
        style_loss: StyleLoss::Notebook,
        style_weight: 5.,
        total_variation: TotalVariation::Notebook,
        tv_weight: 0.2,
    };
    let f = |k: &str, d: f64| arg(k, &d.to_string()).parse::<f64>().unwrap();
    let w = |c: f64| 4.0 / (c * c);
    let studio = Objective {
        means: Means::Bgr,
        pooling: if arg("--pool", "avg") == "max" {
            Pooling::Max
        } else {
            Pooling::Average
        },
        content_layers: lw(&[(4, 2, 1.)]),
        content_loss: ContentLoss::Mean,
        content_weight: f("--cw", 0.01),
        style_layers: lw(&[
            (1, 1, w(64.) * f("--w1", 1.)),
            (2, 1, w(128.) * f("--w2", 1.)),
            (3, 1, w(256.) * f("--w3", 1.)),
            (4, 1, w(512.) * f("--w4", 1.)),
            (5, 1, w(512.) * f("--w5", 1.)),
        ]),
        style_loss: StyleLoss::PerPosition,
        style_weight: f("--sw", 10.),
        total_variation: TotalVariation::L2,
        tv_weight: f("--tv", 0.),
    };
    let nb = arg("--objective", "notebook") == "notebook";
    let mut e = Engine::open(&Options {
        device: "cpu".into(),
        threads: None,
        weights: arg("--weights", "/root/scratch/w.safetensors").into(),
        max_pixels: 100_000_000,
    })
    .unwrap();
    let t = e.time_evaluation(256).unwrap();
    println!("{:?} eval256 {t:.3}", e.description());
    let prec = match arg("--precision", "auto").as_str() {
        "f32" => Precision::F32,
        "bf16" => Precision::Bf16,
        _ => Precision::Auto,
    };
    let size = arg("--size", "256").parse::<u32>().unwrap();
    let r = Request {
        content: src(&arg("--content", "")),
        styles: vec![(src(&arg("--style", "")), 1.0)],
        init: Init::Content,
        size: Size::Longest(size),
        objective: if nb { notebook } else { studio },
        colors: match arg("--colors", "style").as_str() {
            "lum" => Colors::Luminance,
            "match" => Colors::Match,
            _ => Colors::Style,
        },
        optimizer: if arg("--opt", "lbfgs") == "adam" {
            Optimizer::Adam
        } else {
            Optimizer::Lbfgs
        },
        evaluations: f("--evals", 250.) as u32,
        coarse_evaluations: f("--coarse", 100.) as u32,
        scales: f("--scales", 0.) as u32,
        stop_below: Some(f("--below", 1e-9)),
        tolerance: 0.,
        style_scale: f("--style-scale", 1.),
        stretch_style: nb,
        precision: prec,
        seed: 0,
    };
    let mut o = O(std::time::Instant::now(), f("--every", 25.) as u32);
    match e.stylize(&r, None, &mut o).unwrap() {
        Outcome::Finished(p) => {
            println!(
                "done {:.2}s evals {} loss {:.5e} {:?} {:?}",
                p.seconds, p.evaluations, p.loss, p.precision, p.terms
            );
            std::fs::write(arg("--out", "/tmp/o.png"), p.encode(Format::Png).unwrap()).unwrap();
        }
        o => println!("{o:?}"),
    }
}
