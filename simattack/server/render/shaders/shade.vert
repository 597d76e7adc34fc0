#version 330
in vec3 position;
in vec2 uv;
in mat4 model;
in float lights;
uniform mat4 world_to_clip;
out float v_alpha;

void main() {
    v_alpha = uv.x * lights;
    gl_Position = world_to_clip * model * vec4(position, 1.0);
}
