//! Networks from ONNX files, run on the CPU by tract.

use tract_onnx::prelude::*;

/// Why a network was not loaded or run.
#[derive(Debug, thiserror::Error)]
#[error("the network cannot be {doing}: {reason:#}")]
pub struct OnnxError {
    doing: &'static str,
    reason: TractError,
}

fn failed(doing: &'static str) -> impl Fn(TractError) -> OnnxError {
    move |reason| OnnxError { doing, reason }
}

/// A network with one input of one picture: 3 planes of fixed size.
#[derive(Debug)]
pub struct Network {
    plan: Arc<TypedRunnableModel>,
    width: usize,
    height: usize,
}

/// One output: its shape, and its values row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// As many values as the product of the shape.
    pub values: Vec<f32>,
}

impl Network {
    /// Loads the bytes of an ONNX file for pictures of `width` by `height`.
    ///
    /// # Errors
    /// [`OnnxError`] where the file is damaged, or uses what tract lacks.
    pub fn load(bytes: &[u8], width: usize, height: usize) -> Result<Self, OnnxError> {
        let plan = tract_onnx::onnx()
            .model_for_read(&mut std::io::Cursor::new(bytes))
            .and_then(|model| {
                let input = InferenceFact::dt_shape(f32::datum_type(), tvec!(1, 3, height, width));
                model.with_input_fact(0, input)?.into_optimized()?.into_runnable()
            })
            .map_err(failed("loaded"))?;
        Ok(Self { plan, width, height })
    }

    /// Pixels a row and rows of the input.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Runs the network on three planes, as [`crate::letterbox::letterbox`] fills them.
    ///
    /// # Errors
    /// [`OnnxError`] where `input` has another length, or the network fails.
    pub fn run(&self, input: &[f32]) -> Result<Vec<Output>, OnnxError> {
        let run = || {
            let input = Tensor::from_shape(&[1, 3, self.height, self.width], input)?;
            let outputs = self.plan.run(tvec!(input.into()))?;
            outputs
                .iter()
                .map(|output| {
                    let view = output.to_plain_array_view::<f32>()?;
                    Ok(Output { shape: view.shape().to_vec(), values: view.iter().copied().collect() })
                })
                .collect::<TractResult<Vec<_>>>()
        };
        run().map_err(failed("run"))
    }
}
