"""What a run of a pipeline is shown as. Renderers of a PipelineRecord; nothing is concluded here."""
