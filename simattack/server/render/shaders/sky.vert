#version 330
in vec2 position;
uniform mat3 clip_to_ray;
out vec3 v_ray;

void main() {
    v_ray = clip_to_ray * vec3(position, 1.0);
    gl_Position = vec4(position, 0.9999999, 1.0);
}
