"""Draw the layer graphs under results/layer-graphs/; needs timm.

``nnmass analyze MODEL --graph FILE`` draws that of any other model.
"""

from pathlib import Path

from nnmass.reporting import layer_graph_figure, save
from nnmass.tracing import analyze_source

FOLDER = Path(__file__).resolve().parents[1] / "results" / "layer-graphs"
MODELS = ("timm:resnet50", "timm:densenet121", "timm:dla34", "timm:mobilenetv2_100")

if __name__ == "__main__":
    for model in MODELS:
        save(layer_graph_figure(analyze_source(model)), FOLDER / f"{model.partition(':')[2]}.png")
