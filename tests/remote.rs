//! The core of the suite through Burn's own remote backend: a server with flex behind it, client and server of this
//! process on the loopback interface. The server ends with the process.
//!
//! What is computed there is what flex computes here, so results agree to rounding.

#[cfg(feature = "remote")]
mod remote {
    use std::net::{Ipv4Addr, TcpListener};
    use std::process::Command;
    use std::sync::OnceLock;

    use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
    use burn::nn::loss::CrossEntropyLossConfig;
    use burn::optim::{AdamConfig, GradientsParams};
    use burn::remote::RemoteHost;
    use burn::server::{RemoteServer, WebSocketTransport};
    use burn::tensor::{DType, Device, Int, Tensor, TensorData};
    use burn_hsr::{Execution, HsrConfig, LanczosConfig, Mlp, MlpConfig, Mode};
    use burn_penalty::StochasticHsrConfig;
    use burn_sharpness::SamConfig;
    use hsr_tests::mlp::noise;
    use hsr_tests::{relative_error, tensor, values};

    /// Inputs and classes of the network.
    const SIZES: [usize; 2] = [4, 3];
    const SAMPLES: usize = 24;

    /// The address of the server, which is started at the first call.
    fn address() -> &'static str {
        static ADDRESS: OnceLock<String> = OnceLock::new();
        ADDRESS.get_or_init(|| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            std::thread::spawn(move || {
                let server = RemoteServer::new([Device::flex()]);
                server.serve(WebSocketTransport::from_listener(listener))
            });
            format!("ws://127.0.0.1:{port}")
        })
    }

    fn devices() -> [Device; 2] {
        let host = RemoteHost::websocket(address());
        let remote = Device::remote_options(&host).init().unwrap();
        [Device::flex(), remote].map(Device::autodiff)
    }

    struct Problem {
        model: Mlp,
        x: Tensor<2>,
        y: Tensor<1, Int>,
    }

    impl Problem {
        /// The same numbers on every device.
        fn new(device: &Device, hidden: &[usize]) -> Self {
            let [inputs, classes] = SIZES;
            let model = MlpConfig::new(inputs, hidden.to_vec(), classes).init(device);
            let mut seed = 0;
            let model = model.map(&mut Numbers { seed: &mut seed });
            let y: Vec<i32> = (0..SAMPLES as i32).map(|i| i % classes as i32).collect();
            Self {
                model,
                x: tensor(
                    &noise(SAMPLES * inputs, 7),
                    [SAMPLES, inputs],
                    device,
                    DType::F32,
                ),
                y: Tensor::from_data(TensorData::new(y, [SAMPLES]), device),
            }
        }

        fn loss(&self, model: &Mlp) -> Tensor<1> {
            let logits = model.forward(self.x.clone());
            let loss_fn = CrossEntropyLossConfig::new().init(&logits.device());
            loss_fn.forward(logits, self.y.clone())
        }

        fn pass(&self, model: &Mlp) -> (Tensor<1>, GradientsParams) {
            let loss = self.loss(model);
            let gradients = GradientsParams::from_grads(loss.backward(), model);
            (loss, gradients)
        }
    }

    /// Gives every parameter numbers that depend on its place alone.
    struct Numbers<'a> {
        seed: &'a mut usize,
    }

    impl ModuleMapper for Numbers<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            *self.seed += 1;
            let shape = param.dims();
            let numbers = noise(shape.iter().product(), *self.seed);
            let device = param.device();
            param.map(|_| tensor(&numbers, shape, &device, DType::F32).require_grad())
        }
    }

    /// Every number of a model.
    fn numbers(model: &Mlp) -> Vec<f64> {
        struct Collect(Vec<f64>);
        impl ModuleVisitor for Collect {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.0.extend(values(param.val()));
            }
        }
        let mut collect = Collect(Vec::new());
        model.visit(&mut collect);
        collect.0
    }

    fn assert_close(a: &[f64], b: &[f64], what: &str) {
        let error = relative_error(a, b, 0.0);
        assert!(error < 1e-5, "{what}: {error:e}");
    }

    #[test]
    fn bound_gradient_and_eigenvalues_are_those_of_flex() {
        for hidden in [&[5][..], &[5, 4]] {
            let [expected, found] = devices().map(|device| {
                let Problem { model, x, y } = Problem::new(&device, hidden);
                let mut numbers = Vec::new();
                for execution in [Execution::Auto, Execution::Host, Execution::Device] {
                    let hsr = HsrConfig::new().with_execution(execution).init().unwrap();
                    let gradient = hsr.gradient(&model, x.clone(), y.clone(), true).unwrap();
                    numbers.extend(values(gradient.value));
                    for layer in gradient.layers {
                        numbers.extend(layer.weight.map(values).unwrap());
                        numbers.extend(layer.bias.map(values).unwrap());
                    }
                    numbers.extend(gradient.inputs.map(values).unwrap());
                }
                let hsr = HsrConfig::new().init().unwrap();
                numbers.push(hsr.bounds(&model, x.clone(), y.clone()).unwrap().lambda_sup);
                let options = LanczosConfig::default();
                let extremes = hsr.extremes(&model, x, y, &options).unwrap();
                numbers.extend([extremes.largest, extremes.smallest]);
                numbers
            });
            assert_close(&found, &expected, "gradient, bounds, eigenvalues");
            // A small model goes to the host: of the three executions Auto is then the second to the last bit.
            let part = (found.len() - 3) / 3;
            assert_eq!(found[..part], found[part..2 * part], "Auto is not Host");
        }
    }

    #[test]
    fn training_is_that_of_flex() {
        for mode in [Mode::Coupled, Mode::Decoupled, Mode::Direction] {
            let [expected, found] = devices().map(|device| {
                let problem = Problem::new(&device, &[5]);
                let mut model = problem.model.clone();
                let config = HsrConfig::new().with_mode(mode).with_strength(0.05);
                let mut hsr = config.init().unwrap();
                let mut optimizer = AdamConfig::new().init();
                for _ in 0..6 {
                    let (_, gradients) = problem.pass(&model);
                    let (x, y) = (problem.x.clone(), problem.y.clone());
                    model = hsr
                        .step(&mut optimizer, 0.01, model, x, y, gradients)
                        .unwrap();
                }
                numbers(&model)
            });
            assert_close(&found, &expected, &format!("{mode:?}"));
        }
    }

    #[test]
    fn the_penalty_in_the_loss_is_that_of_flex() {
        let [expected, found] = devices().map(|device| {
            let problem = Problem::new(&device, &[5]);
            let mut hsr = HsrConfig::new().with_strength(0.05).init().unwrap();
            let mut model = problem.model.clone();
            let mut optimizer = AdamConfig::new().init();
            for _ in 0..4 {
                let (x, y) = (problem.x.clone(), problem.y.clone());
                let penalty = hsr.penalty(&model, x, y).unwrap();
                let loss = problem.loss(&model) + penalty;
                let gradients = GradientsParams::from_grads(loss.backward(), &model);
                model = optimizer.step(0.01, model, gradients);
            }
            numbers(&model)
        });
        assert_close(&found, &expected, "penalty");
    }

    #[test]
    fn sam_and_stochastic_hsr_are_those_of_flex() {
        let [expected, found] = devices().map(|device| {
            let problem = Problem::new(&device, &[5, 4]);
            let mut sam = SamConfig::new()
                .with_rho(0.1)
                .init(AdamConfig::new().init())
                .unwrap();
            let mut hsr = StochasticHsrConfig::new()
                .with_strength(0.05)
                .init(AdamConfig::new().init())
                .unwrap();
            let (mut first, mut second) = (problem.model.clone(), problem.model.clone());
            for _ in 0..4 {
                first = sam.step(0.01, first, |m| problem.pass(m)).unwrap().module;
                second = hsr.step(0.01, second, |m| problem.pass(m)).unwrap().module;
            }
            [numbers(&first), numbers(&second)].concat()
        });
        // The mixed difference over steps of 2·10⁻³ magnifies what single precision rounds to some percent of what is added,
        // and Adam divides by its size.
        let error = relative_error(&found, &expected, 0.0);
        assert!(error < 5e-3, "{error:e}");
    }

    #[test]
    fn the_command_trains_there() {
        let folder = tempfile::tempdir().unwrap();
        let program = env!("CARGO_BIN_EXE_hsr-under-test");
        let run = |address: Option<&str>| {
            let mut command = Command::new(program);
            command.args(["train", "--task", "iris", "--hidden", "3", "--epochs", "2"]);
            command.args(["--backend", "remote", "--out", "far", "--json"]);
            command.env_remove("BURN_REMOTE_ADDRESS");
            if let Some(address) = address {
                command.env("BURN_REMOTE_ADDRESS", address);
            }
            command.current_dir(folder.path()).output().unwrap()
        };
        let refused = run(None);
        let message = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{message}");
        assert!(message.contains("BURN_REMOTE_ADDRESS"), "{message}");
        assert!(!folder.path().join("far").exists());
        let trained = run(Some(address()));
        let message = String::from_utf8(trained.stderr).unwrap();
        assert!(trained.status.success(), "{message}");
        let summary: serde_json::Value = serde_json::from_slice(&trained.stdout).unwrap();
        assert_eq!(summary["backend"], "remote");
        assert!(summary["networks"]["hsr"]["lambda_sup"].as_f64().unwrap() > 0.0);
    }
}

#[cfg(not(feature = "remote"))]
#[test]
fn remote_is_not_in_this_build() {
    println!("SKIPPED: remote is not in this build");
    assert!(std::env::var_os("HSR_REQUIRE_WGPU").is_none());
}
